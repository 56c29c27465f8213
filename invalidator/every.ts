/** Answers true at once, and then so often. */
export function every(intervalMs: number): () => boolean {
  let dueAtMs = 0
  return () => {
    const nowMs = performance.now()
    if (nowMs < dueAtMs) return false
    dueAtMs = nowMs + intervalMs
    return true
  }
}
