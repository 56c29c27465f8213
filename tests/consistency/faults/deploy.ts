import type { Fault } from './fault.ts'

/** A deployment that replaces all services. */
export const DEPLOY_FAULTS: readonly Fault[] = [
  {
    name: 'everything-replaced',
    takes: 'nothing',
    holdMs: 2_000,
    startsServices: true,
    async inject({ stage: { system } }) {
      for (const api of system.apis.keys()) {
        await system.replaceApi(api)
        await system.invalidator.replace()
      }
      return async () => {}
    },
  },
]
