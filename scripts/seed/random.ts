/** A deterministic random generator: equal names give equal sequences. */
export interface Random {
  /** Returns a number from 0 up to, but not including, 1. */
  next(): number
  /** Returns a whole number, both ends included. */
  int(min: number, max: number): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
  /** Prefers the first members of a list: about half of the picks are from its first fifth. */
  pickSkewed<T>(list: readonly T[]): T
  /** Returns different members of a list, in random order. */
  sample<T>(list: readonly T[], count: number): T[]
  /** Returns a log-normal length with this median and 95th percentile, at most `max`. */
  length(median: number, p95: number, max: number): number
}

const P95_IN_SIGMAS = 1.645
const SKEW = 2.3

/** Every part of the seed has its own sequence, so that a change of one part does not affect the others. */
export function createRandom(name: string): Random {
  const next = mulberry32(hash(name))
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  const at = <T>(list: readonly T[], index: number): T => {
    const found = list[index]
    if (found === undefined) throw new Error(`nothing to pick from: ${name}`)
    return found
  }

  return {
    next,
    int,
    chance: (probability) => next() < probability,
    pick: (list) => at(list, int(0, list.length - 1)),
    pickSkewed: (list) => at(list, Math.floor(list.length * next() ** SKEW)),
    sample(list, count) {
      const left = [...list]
      for (let i = 0; i < Math.min(count, left.length); i++) {
        const j = int(i, left.length - 1)
        ;[left[i], left[j]] = [at(left, j), at(left, i)]
      }
      return left.slice(0, count)
    },
    length(median, p95, max) {
      const sigma = Math.log(p95 / median) / P95_IN_SIGMAS
      const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
      return Math.min(max, Math.max(1, Math.round(median * Math.exp(sigma * normal))))
    },
  }
}

function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** FNV-1a. */
function hash(name: string): number {
  let value = 0x811c9dc5
  for (const byte of Buffer.from(name)) value = Math.imul(value ^ byte, 0x01000193)
  return value
}
