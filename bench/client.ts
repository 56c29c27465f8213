import { Agent, get } from 'node:http'

/** An HTTP client for one server, with persistent connections. */
export interface Client extends Disposable {
  /**
   * Requests a path, reads the response, and returns whether it was a hit.
   * @throws Error if the status is not 200.
   */
  ask(path: string, headers?: Readonly<Record<string, string>>): Promise<boolean>
}

/** Returns a client with at most `connections` connections. Each request uses the one that was idle longest. */
export function createClient(origin: string, connections = Infinity): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' })
  return {
    ask: (path, headers = {}) =>
      new Promise((resolve, reject) => {
        get(`${origin}${path}`, { agent, headers }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`))
          const isHit = response.headers['cache-status']?.includes('; hit') === true
          response.on('end', () => resolve(isHit))
          response.on('error', reject).resume()
        }).on('error', reject)
      }),
    [Symbol.dispose]: () => agent.destroy(),
  }
}
