import type { Service } from '../service.ts'
import { setTimeout as sleep } from 'node:timers/promises'

const ATTEMPTS = 100

/** Requests a response until a request causes no load. @throws Error if none does. */
export async function untilCached(
  service: Service,
  loadCounter: string,
  ask: () => Promise<unknown>,
): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await service.count(loadCounter)
    await ask()
    if ((await service.count(loadCounter)) === before) return
    await sleep(attempt)
  }
  throw new Error(`${ATTEMPTS} requests of ${service.origin} caused a load each`)
}
