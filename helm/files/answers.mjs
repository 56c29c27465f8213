// Asks the API, through its Service, what only a working one answers. `helm test` runs it.
const { API_URL, CACHED } = process.env
const JOIN_TIMEOUT_MS = 30_000

const ask = async (path) => {
  const response = await fetch(`${API_URL}${path}`, { signal: AbortSignal.timeout(5_000) })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response.headers.get('cache-status') ?? ''
}

/** A list that passes the cache by says why. One that does not is a hit the second time, unless it is empty. */
const answersAsExpected = async () => {
  // Asks Postgres.
  await ask('/health/')
  await ask('/api/v1/users/staffprofiles')
  const status = await ask('/api/v1/users/staffprofiles')
  if (status.includes('fwd=bypass') === (CACHED === 'true')) throw new Error(status)
  return status
}

const giveUpAtMs = Date.now() + JOIN_TIMEOUT_MS
for (;;) {
  try {
    console.log(`${API_URL} answers: ${await answersAsExpected()}`)
    break
  } catch (error) {
    if (Date.now() > giveUpAtMs) throw error
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}
