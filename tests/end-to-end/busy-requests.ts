export interface BusyRequests {
  readonly api: string
  readonly cookie: string
  readonly logIns: number
  readonly maps: number
}

/**
 * Sends all expensive requests concurrently, and repeats a slow search until they are answered. Runs in its own
 * thread, so that reading the answers does not delay the measurement. Returns the statuses.
 */
export default async function sendBusyRequests(wanted: BusyRequests): Promise<readonly number[]> {
  const { api, cookie, logIns, maps } = wanted
  const done = new AbortController()
  const searching = search()
  const statuses = await Promise.all([
    ...Array.from({ length: logIns }, (_, n) => logIn(n)),
    ...Array.from({ length: maps }, () => read('projects/map')),
  ])
  done.abort()
  return [...statuses, ...(await searching)]

  async function read(path: string): Promise<number> {
    const response = await fetch(`${api}/api/v1/${path}`, { headers: { Cookie: cookie } })
    await response.arrayBuffer()
    return response.status
  }

  async function search(): Promise<number[]> {
    const found: number[] = []
    while (!done.signal.aborted)
      found.push(await read(`projects/smallsearch?searchTerm=${'e '.repeat(100)}`))
    return found
  }

  /** Logs in from a new address each time. An unknown user costs as much as a known one. */
  async function logIn(n: number): Promise<number> {
    const response = await fetch(`${api}/api/v1/users/log-in`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': `192.0.2.${n + 1}` },
      body: JSON.stringify({ username: `nobody-${n}`, password: 'a wrong password' }),
    })
    await response.arrayBuffer()
    return response.status
  }
}
