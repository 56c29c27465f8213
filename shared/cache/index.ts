// The cache engine: resources, readers, freshness, and the commands of Redis.
// Other code imports this file only.

export { columnsOf, compileRules } from './definition/compile.ts'
export {
  bareKey,
  clockKey,
  entryKey,
  keyOfRow,
  fullKey,
  identityKey,
  keyGlob,
  keyMatcher,
  keyParser,
  processesKey,
  processKey,
  watermarkKey,
} from './definition/key.ts'
export {
  defineResource,
  paramsOf,
  type Load,
  type Loaded,
  type Params,
  type Resource,
  type ResourceRules,
} from './definition/resource.ts'
export { type DirectRule, isLookup, type LookupRule, type Rule } from './definition/rule.ts'
export { createBucketedStore } from './entry-store/bucketed-store.ts'
export {
  bareUuid,
  type CachedValue,
  decodeValue,
  encodeValue,
  etagOf,
  isPlausible,
  plainLengthOf,
} from './entry-store/cached-value.ts'
export {
  compressGzip,
  COMPRESSION,
  type CompressionOptions,
  type Encoding,
  inflate,
  plainLength,
} from './entry-store/compression.ts'
export { createEntryStore, type EntryStore, MAX_VALUE_BYTES } from './entry-store/entry-store.ts'
export { createUnreadable, type Unreadable } from './entry-store/metrics.ts'
export { TimeBudget } from './entry-store/time-budget.ts'
export type { ConsistencyToken } from './freshness/consistency-token.ts'
export { createFreshnessPolicy } from './freshness/freshness-policy.ts'
export { IncarnationTracker, trackIncarnation } from './freshness/incarnation-tracker.ts'
export {
  ageMsOf,
  decodeWatermark,
  DISABLED,
  isUnreadable,
  type Watermark,
} from './freshness/watermark.ts'
export { createInstruments, type Instruments, type Tally } from './instruments.ts'
export {
  type Advance,
  type AdvanceReport,
  createInvalidationStore,
  type InvalidationStore,
  takesLong,
} from './invalidation-store/invalidation-store.ts'
export {
  createInvalidationStores,
  type InvalidationStores,
} from './invalidation-store/bucket-stores.ts'
export type { ProcessReport } from './processes/process-report.ts'
export { newProcessId, readReports, runReportWriter } from './processes/process-reports.ts'
export type { Answer } from './read/answer.ts'
export { createLoader, type LimitedLoader, type Loader, LoaderBusy } from './read/loader.ts'
export { createCacheMetrics } from './read/metrics.ts'
export { openReader } from './read/open-reader.ts'
export { createReader, type Reader } from './read/reader.ts'
export { TokenBucket } from './read/token-bucket.ts'
export { createUncachedReader } from './read/uncached-reader.ts'
export { parseRedisUrl } from './redis/address.ts'
export { bucketCountKey, inEachBucket, withoutBucket } from './redis/bucket.ts'
export { type Buckets, oneBucket, openBuckets, type Place } from './redis/buckets.ts'
export { readClockOffset } from './redis/clock.ts'
export { createDenialLog, type DenialLog } from './redis/denials.ts'
export { createIdentityReader } from './redis/identity.ts'
export { measureRedis } from './redis/metrics.ts'
export { explainRedisError, openRedis, type Redis } from './redis/redis.ts'
export { hasMoved, isDenial } from './redis/replies.ts'
export { findRedisUsage, type RedisUsage } from './redis/usage.ts'
export { createVerifier, type Verified, type Verifier } from './verification/verifier.ts'
