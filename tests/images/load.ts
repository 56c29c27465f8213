/** Results of a load test. */
export interface Load {
  readonly perS: number
  readonly failed: number
}

const CLIENTS = 16

/** Sends GET requests from several concurrent clients for `forMs`. */
export async function load(url: string, forMs: number): Promise<Load> {
  const began = performance.now()
  let done = 0
  let failed = 0
  const client = async () => {
    while (performance.now() - began < forMs) {
      const response = await fetch(url)
      await response.arrayBuffer()
      done++
      if (!response.ok) failed++
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return { perS: Math.round((done * 1000) / (performance.now() - began)), failed }
}
