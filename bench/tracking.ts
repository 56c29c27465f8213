import { Redis } from 'ioredis'

/** A subscription to changes of keys by other connections. */
export interface Tracking extends Disposable {
  /** Commands on this connection, such as fills, are not reported. */
  readonly redis: Redis
}

export interface TrackingOptions {
  readonly redisUrl: string
  /** Prefix of the tracked keys. */
  readonly keysFrom: string
  readonly onChange: (key: string, atMs: number) => void
}

const INVALIDATED = '__redis__:invalidate'

/**
 * Subscribes to keys that other connections change or remove (client tracking). A report takes as
 * long as a reply to a reader. Polling would slow down the measured processes on few cores.
 */
export async function openTracking(options: TrackingOptions): Promise<Tracking> {
  const { redisUrl, keysFrom, onChange } = options
  const redis = new Redis(redisUrl)
  // With RESP3 the client does not expose these reports.
  const reports = new Redis(redisUrl, { protocol: 2 })
  const reporter = await reports.client('ID')
  await reports.subscribe(INVALIDATED)
  reports.on('message', (_channel, keys) => {
    const nowMs = performance.now()
    for (const key of keys.split(',')) onChange(key, nowMs)
  })
  const where = ['REDIRECT', reporter, 'BCAST', 'PREFIX', keysFrom, 'NOLOOP'] as const
  await redis.call('CLIENT', 'TRACKING', 'ON', ...where)
  return {
    redis,
    [Symbol.dispose]() {
      redis.disconnect()
      reports.disconnect()
    },
  }
}
