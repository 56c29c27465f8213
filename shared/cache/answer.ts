/** What the cache answered, ready to be sent. `Cache-Status` (RFC 9211) is written from it. */
export interface Answer {
  /** hit: from Redis. miss: loaded. stale: an expired entry, because the load failed. bypass: the cache was not asked or not used. */
  readonly outcome: 'hit' | 'miss' | 'stale' | 'bypass'
  /** Why, in one word, for `detail=`: `redis`, `off`, `private`, ... */
  readonly detail?: string
  /** The finished response bytes; `null` when the thing does not exist. */
  readonly body: Buffer | null
  /** Quoted, strong: `"q2l0..."`. */
  readonly etag: string
  readonly ageMs: number
  /** How long it stays fresh; 0 for what is not kept. */
  readonly ttlMs: number
  /** True when another request's load was joined. */
  readonly collapsed?: boolean
}
