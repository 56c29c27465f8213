/** No answer in time. What was asked may still happen. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut'
}

/**
 * Waits for an answer, for so long at most. An answer that has arrived while this process was busy
 * counts: or a pause of ours would look like silence of the other's.
 * @throws TimedOut
 */
export async function withTimeout<T>(pending: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    // Node runs timers first, then reads its sockets, then runs what is immediate.
    timer = setTimeout(() => setImmediate(reject, new TimedOut()), timeoutMs)
  })
  try {
    return await Promise.race([pending, late])
  } finally {
    clearTimeout(timer)
  }
}
