import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

const REPLICAS = 3

/** Faults of invalidators. */
export const INVALIDATOR_FAULTS: readonly Fault[] = [
  {
    name: 'invalidator-killed',
    takes: 'nothing',
    holdMs: 5_000,
    async inject({ stage: { system } }) {
      await system.invalidator.kill()
      return () => system.invalidator.start()
    },
  },
  {
    name: 'invalidator-stopped',
    takes: 'nothing',
    holdMs: 6_500,
    async inject({ stage: { system }, isLong }) {
      system.invalidator.freeze()
      if (isLong) await sleep(23_500)
      return async () => system.invalidator.thaw()
    },
  },
  {
    name: 'invalidators-come-and-go',
    takes: 'nothing',
    holdMs: 2_000,
    startsServices: true,
    async inject({ stage: { system } }) {
      const others = await Promise.all(
        Array.from({ length: REPLICAS }, () => system.addInvalidator()),
      )
      return async () => {
        for (const other of others) await other.kill()
      }
    },
  },
]
