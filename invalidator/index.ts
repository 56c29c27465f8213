// The invalidator: applies logged changes to Redis.
// Other code imports this file only.

export { type Change, changedColumns, OPERATIONS } from './console/change.ts'
export { bucketsMissing } from './console/examination.ts'
export { createConsole } from './console/console.ts'
export {
  describeEntry,
  type EntryPart,
  entryOfKey,
  explainEntry,
  isUrl,
} from './console/explain-entry.ts'
export { requestFlush, resourcesOf, untilFlushed } from './console/flush.ts'
export { checkClocks, clockFindings } from './doctor/clocks.ts'
export { describeFinding, type Finding, note, wrong } from './doctor/finding.ts'
export { checkLocks } from './doctor/locks.ts'
export { placesOf, type ServerPlace } from './doctor/places.ts'
export { checkRedis, infoFindings } from './doctor/redis.ts'
export { checkSegments } from './doctor/segments.ts'
export { checkTriggers } from './doctor/triggers.ts'
export { checkInvalidator, checkWatermarks } from './doctor/watermarks.ts'
export { runInvalidatorService } from './service.ts'
export { createTranslation } from './translation.ts'
