import { EventEmitter } from 'node:events'
import {
  type Buckets,
  bucketCountKey,
  type Redis,
  withoutBucket,
} from '../../shared/cache/index.ts'
import { furthestBehind } from './furthest-behind.ts'

/**
 * Returns a client of a cluster that tests use like one of a single server: with keys without buckets.
 * A command with the key of an entry runs in its bucket. A command with another key of the engine, such as that of the
 * clock, runs in every bucket; its answer is null if that of any bucket is, and else that of the first. Watermarks are
 * read from the bucket that is furthest behind.
 */
export function createRoutedClient(buckets: Buckets): Redis {
  const { count } = buckets
  const events = new EventEmitter()
  events.setMaxListeners(0)
  let isClosed = false
  const status = () => (isClosed ? 'end' : buckets.available === count ? 'ready' : 'connecting')
  let last = status()
  buckets.onChange(() => {
    const next = status()
    if (next === last) return
    last = next
    events.emit(next === 'ready' ? 'ready' : 'close')
  })

  const connectionOf = (bucket: number): Redis => {
    const redis = buckets.connectionOf(bucket)
    if (redis === null) throw new Error(`the server of bucket ${bucket} is not known`)
    return redis
  }
  const send = (bucket: number, command: string, key: string, args: readonly unknown[]) =>
    methodOf(connectionOf(bucket), command)(keyInBucket(buckets, bucket, key), ...args)
  const all = Array.from({ length: count }, (_, bucket) => bucket)

  async function run(command: string, key: string, ...args: readonly unknown[]): Promise<unknown> {
    if (isEntry(key)) return send(buckets.bucketOf(key), command, key, args)
    const read = watermarkReads[command]
    if (read !== undefined) return read(await readWatermarks(key))
    const replies = await Promise.all(all.map((bucket) => send(bucket, command, key, args)))
    return replies.includes(null) ? null : replies[0]
  }
  /** Returns the watermark of each resource in the bucket that is furthest behind. */
  async function readWatermarks(key: string): Promise<Record<string, string>> {
    const found = await Promise.all(
      all.map(
        (bucket) => send(bucket, 'hgetall', key, []) as Promise<Readonly<Record<string, string>>>,
      ),
    )
    return Object.fromEntries(
      Object.keys(found[0] ?? {}).flatMap((name) => {
        const text = furthestBehind(found.map((marks) => marks[name] ?? null))
        return text === null ? [] : [[name, text]]
      }),
    )
  }
  const watermarkReads: Readonly<Record<string, (marks: Record<string, string>) => unknown>> = {
    hgetall: (marks) => marks,
    hvals: (marks) => Object.values(marks),
    hlen: (marks) => Object.keys(marks).length,
  }

  const sum = async (command: string, keys: readonly (string | readonly string[])[]) => {
    const replies = await Promise.all(keys.flat().map((key) => run(command, key)))
    return replies.reduce((total: number, reply) => total + Number(reply), 0)
  }
  const onServers = (command: string, args: readonly unknown[]) =>
    Promise.all(buckets.servers.map((server) => methodOf(server, command)(...args)))

  const own: Readonly<Record<string, (...args: never[]) => unknown>> = {
    on: (name: string, listener: () => void) => events.on(name, listener),
    once: (name: string, listener: () => void) => events.once(name, listener),
    off: (name: string, listener: () => void) => events.off(name, listener),
    removeListener: (name: string, listener: () => void) => events.off(name, listener),
    disconnect() {
      isClosed = true
      buckets[Symbol.dispose]()
    },
    exists: (...keys: string[]) => sum('exists', keys),
    del: (...keys: string[]) => sum('del', keys),
    unlink: (...keys: string[]) => sum('unlink', keys),
    call: (command: string, key: string, ...args: unknown[]) =>
      run(command.toLowerCase(), key, ...args),
    pipeline() {
      const queued: (() => Promise<unknown>)[] = []
      const exec = () => Promise.all(queued.map(async (send) => [null, await send()]))
      const queue = (command: string, key: string, args: readonly unknown[]) =>
        void queued.push(() => run(command, key, ...args))
      return new Proxy(
        {},
        {
          get: (_, name) =>
            name === 'exec'
              ? exec
              : (key: string, ...args: unknown[]) => queue(String(name), key, args),
        },
      )
    },
    async keys(glob: string) {
      const prefix = prefixOf(glob)
      const found = (await onServers('keys', [`${prefix}/*`])) as string[][]
      const plain = found.flat().map((key) => withoutBucket(prefix, key))
      return [...new Set(plain)].filter(
        (key) => matches(key, glob) && key !== bucketCountKey(prefix),
      )
    },
    time: () => connectionOf(0).time(),
    info: async (...sections: string[]) => (await onServers('info', sections)).join('\n'),
    flushdb: () => onServers('flushdb', []),
    flushall: () => onServers('flushall', []),
    config: (...args: unknown[]) => onServers('config', args),
  }
  return new Proxy({} as Redis, {
    get(_, name) {
      if (typeof name === 'symbol' || name === 'then') return undefined
      if (name === 'status') return status()
      return own[name] ?? ((key: string, ...args: unknown[]) => run(name, key, ...args))
    },
  })
}

/** Returns buckets that take keys of any prefix. */
export const ofAnyPrefix = (buckets: Buckets): Buckets =>
  Object.create(buckets, {
    keyIn: { value: (bucket: number, key: string) => keyInBucket(buckets, bucket, key) },
  }) as Buckets

function keyInBucket(buckets: Buckets, bucket: number, key: string): string {
  const start = buckets.prefixOf(bucket)
  const [own, prefix] = [prefixOf(start), prefixOf(key)]
  return `${prefix}${start.slice(own.length)}${key.slice(prefix.length)}`
}

/** A prefix contains no slash. */
const prefixOf = (key: string) => key.slice(0, key.indexOf('/'))

const isEntry = (key: string) => /^[^/]+\/v\d+\//.test(key)

const escape = (text: string) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)

/** `*` is the only special character. */
const matches = (key: string, glob: string) =>
  new RegExp(`^${glob.split('*').map(escape).join('.*')}$`, 's').test(key)

function methodOf(redis: Redis, name: string): (...args: readonly unknown[]) => unknown {
  const method: unknown = Reflect.get(redis, name)
  if (typeof method !== 'function') throw new Error(`the client has no command ${name}`)
  return (...args) => Reflect.apply(method, redis, args)
}
