import type { Arm } from './arms.ts'

/** Measures an arm while its background work runs. */
export async function during<T>(arm: Arm<string>, measure: () => Promise<T>): Promise<T> {
  await fetch(`${arm.service.origin}${arm.paths[0]}`, { headers: { ...arm.headers } })
  const end = arm.meanwhile?.()
  try {
    return await measure()
  } finally {
    end?.()
  }
}
