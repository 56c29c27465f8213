/** The same numbers for the same seed, and other ones for each name. */
export class Random {
  readonly #seed: number
  #state: number

  constructor(seed: number) {
    this.#seed = seed
    this.#state = seed
  }

  /** A sequence of its own for somebody who draws at moments of their own. */
  branch(name: string): Random {
    let seed = this.#seed ^ 0x9e3779b9
    for (const char of name) seed = Math.imul(seed ^ char.charCodeAt(0), 0x01000193)
    return new Random(seed >>> 0)
  }

  /** From 0, below 1. */
  next(): number {
    // Mulberry32.
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number; both ends may come. */
  between(lowest: number, highest: number): number {
    return lowest + Math.floor(this.next() * (highest - lowest + 1))
  }

  chance(share: number): boolean {
    return this.next() < share
  }

  of<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)] as T
  }

  /** So many different ones, in their order: who locks in one order never deadlocks. */
  some<T>(items: readonly T[], count: number): T[] {
    const chosen = new Set<number>()
    while (chosen.size < Math.min(count, items.length))
      chosen.add(this.between(0, items.length - 1))
    return [...chosen].toSorted((a, b) => a - b).map((at) => items[at] as T)
  }

  shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, at: this.next() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ item }) => item)
  }
}
