import type { ProfileWatch, Sighting } from './profile-watch.ts'
import { until } from './until.ts'

const READERS = 4

/**
 * Reads from two APIs and writes continuously during `work`. An unanswered request fails the test.
 * Returns all reads.
 */
export async function underLoad(
  profiles: ProfileWatch,
  work: () => Promise<void>,
): Promise<readonly Sighting[]> {
  const over = new AbortController()
  const seen: Sighting[] = []
  const idOf = (n: number) => profiles.ids[n % profiles.ids.length] as string
  const read = async (reader: number) => {
    for (let n = reader; !over.signal.aborted; n++) {
      seen.push(await profiles.read(idOf(n), reader % 2))
    }
  }
  const write = async () => {
    for (let n = 0; !over.signal.aborted; n++) {
      await profiles.write(idOf(n))
      // At least one read for each write, so that entries are cached before they change.
      const { length } = seen
      await until(() => seen.length > length || over.signal.aborted)
    }
  }
  const load = Promise.all([write(), ...Array.from({ length: READERS }, (_, n) => read(n))])
  try {
    await Promise.race([work(), load])
  } finally {
    over.abort()
  }
  await load
  return seen
}
