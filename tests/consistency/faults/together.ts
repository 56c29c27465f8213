import type { Fault } from './fault.ts'

/** Returns a fault that injects two at once. They must not affect the same server. */
export const together = (one: Fault, other: Fault): Fault => ({
  name: `${one.name} + ${other.name}`,
  takes:
    [one.takes, other.takes].find((taken) => taken === 'postgres') ??
    [one.takes, other.takes].find((taken) => taken === 'redis') ??
    'nothing',
  holdMs: Math.max(one.holdMs, other.holdMs),
  async inject(scene) {
    const first = one.inject(scene)
    if (one.startsServices) await first
    const recoveries = await Promise.all([first, other.inject(scene)])
    return async () =>
      (await Promise.all(recoveries.map((recover) => recover()))).flatMap((found) => found ?? [])
  },
})
