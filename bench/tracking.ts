import { Redis } from 'ioredis'

/** Redis' own reports of what others do to keys. */
export interface Tracking extends Disposable {
  /** What is done on this connection, such as filling entries, is not reported. */
  readonly redis: Redis
}

export interface TrackingOptions {
  readonly redisUrl: string
  /** What the keys begin with. */
  readonly keysFrom: string
  readonly onChange: (key: string, atMs: number) => void
}

const INVALIDATED = '__redis__:invalidate'

/**
 * Has Redis report keys that others change or remove (client tracking). Its report travels as far
 * as a reader's answer would, and nothing is polled, which on few cores would slow what is measured.
 */
export async function openTracking(options: TrackingOptions): Promise<Tracking> {
  const { redisUrl, keysFrom, onChange } = options
  const redis = new Redis(redisUrl)
  // Under the newer protocol the client keeps such reports to itself.
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
