// `helm test` runs this script. It fails unless the API answers through its Service and caches as configured.
const { API_URL, CACHED } = process.env
const TIMEOUT_MS = 30_000

const request = async (path) => {
  const response = await fetch(`${API_URL}${path}`, { signal: AbortSignal.timeout(5_000) })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`GET ${path} was answered with ${response.status}`)
  return response.headers.get('cache-status') ?? ''
}

/** Returns the Cache-Status of a list. @throws Error if it bypasses the cache although CACHED is true, or the reverse. */
const checkAnswers = async () => {
  // The health check queries Postgres.
  await request('/health/')
  await request('/api/v1/users/staffprofiles')
  const status = await request('/api/v1/users/staffprofiles')
  if (status.includes('fwd=bypass') === (CACHED === 'true')) throw new Error(`unexpected Cache-Status: ${status}`)
  return status
}

const giveUpAtMs = Date.now() + TIMEOUT_MS
for (;;) {
  try {
    console.log(`${API_URL} answers: ${await checkAnswers()}`)
    break
  } catch (error) {
    if (Date.now() > giveUpAtMs) throw error
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}
