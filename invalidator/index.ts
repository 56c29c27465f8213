// The invalidator: applies logged changes to Redis.
// Other code imports this file only.

export { concerns } from './pattern.ts'
export { runInvalidatorService } from './service.ts'
export { createTranslation } from './translation.ts'
