import { parentPort, workerData } from 'node:worker_threads'

export interface BusyRequests {
  readonly api: string
  readonly cookie: string
  readonly logIns: number
  readonly maps: number
}

/**
 * Sends expensive requests all at once, and a slow search again and again until it receives a message. Answers with
 * the statuses. In a thread, so that reading its answers delays nothing that is measured.
 */
async function send({ api, cookie, logIns, maps }: BusyRequests): Promise<number[]> {
  const searching = new AbortController()
  parentPort?.once('message', () => searching.abort())
  return Promise.all([
    ...Array.from({ length: logIns }, (_, n) => logIn(n)),
    ...Array.from({ length: maps }, () => read('projects/map')),
    search(searching.signal),
  ])

  async function read(path: string): Promise<number> {
    const response = await fetch(`${api}/api/v1/${path}`, { headers: { Cookie: cookie } })
    await response.arrayBuffer()
    return response.status
  }

  async function search(signal: AbortSignal): Promise<number> {
    let status = 0
    while (!signal.aborted)
      status = await read(`projects/smallsearch?searchTerm=${'e '.repeat(100)}`)
    return status
  }

  /** Logs in from another address each time. A user that does not exist costs as much as any other. */
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

const statuses = await send(workerData as BusyRequests)
parentPort?.postMessage(statuses)
