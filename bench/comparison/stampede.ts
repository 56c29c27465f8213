import { createClient } from '../client.ts'
import { profilePath } from '../profiles.ts'
import type { Service } from '../service.ts'
import type { System } from './systems.ts'

export const CONCURRENT = 200

/**
 * Sends 200 requests for a profile that is not cached at once, evenly to the processes of a system.
 * Returns the loads that they cause.
 */
export async function countLoads(
  { loadCounter }: System,
  processes: readonly Service[],
  { warmId, coldId }: { readonly warmId: string; readonly coldId: string },
): Promise<number> {
  const share = CONCURRENT / processes.length
  const clients = processes.map(({ origin }) => createClient(origin, share))
  const askAll = async (id: string) => {
    const asks = clients.flatMap((client) =>
      Array.from({ length: share }, () => client.ask(profilePath(id))),
    )
    await Promise.all(asks)
  }
  const count = async () => {
    const counts = await Promise.all(processes.map((one) => one.count(loadCounter)))
    return counts.reduce((sum, loads) => sum + loads, 0)
  }
  try {
    // Opens the connections, so that the measured requests arrive at once.
    await askAll(warmId)
    const before = await count()
    await askAll(coldId)
    return (await count()) - before
  } finally {
    for (const client of clients) client[Symbol.dispose]()
  }
}
