import { Agent, get } from 'node:http'

/** An HTTP client for one server, with persistent connections. */
export interface Client extends Disposable {
  /** Requests a path and reads the response. @throws Error if the status is not 200. */
  ask(path: string, headers?: Readonly<Record<string, string>>): Promise<void>
  /** Does the same, and returns whether the response was a hit. */
  askForHit(path: string, headers?: Readonly<Record<string, string>>): Promise<boolean>
}

/** Returns a client with at most `connections` connections. Each request uses the one that was idle longest. */
export function createClient(origin: string, connections = Infinity): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' })
  const askForHit: Client['askForHit'] = (path, headers = {}) =>
    new Promise((resolve, reject) => {
      get(`${origin}${path}`, { agent, headers }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`))
        const isHit = response.headers['cache-status']?.includes('; hit') === true
        response.on('end', () => resolve(isHit))
        response.on('error', reject).resume()
      }).on('error', reject)
    })
  return {
    askForHit,
    ask: async (path, headers) => void (await askForHit(path, headers)),
    [Symbol.dispose]: () => agent.destroy(),
  }
}
