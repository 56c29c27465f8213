/** Returns a function that returns true on its first call, and then once per interval. */
export function every(intervalMs: number): () => boolean {
  let dueAtMs = 0
  return () => {
    const nowMs = performance.now()
    if (nowMs < dueAtMs) return false
    dueAtMs = nowMs + intervalMs
    return true
  }
}
