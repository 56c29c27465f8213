import { Agent, get } from 'node:http'

/** Asks one server over connections that it keeps. */
export interface Client extends Disposable {
  /** Reads a path to its end. @throws for any status but 200. */
  ask(path: string, headers?: Readonly<Record<string, string>>): Promise<void>
}

/** `connections`: how many there are at most; each request takes the one that has rested longest. */
export function createClient(origin: string, connections = Infinity): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, scheduling: 'fifo' })
  return {
    ask: (path, headers = {}) =>
      new Promise((resolve, reject) => {
        get(`${origin}${path}`, { agent, headers }, (response) => {
          if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`))
          response.on('end', resolve).on('error', reject).resume()
        }).on('error', reject)
      }),
    [Symbol.dispose]: () => agent.destroy(),
  }
}
