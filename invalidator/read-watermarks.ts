import type { Logger } from 'winston'
import { type InvalidationStore, isUnreadable } from '../shared/cache/index.ts'
import type { InvalidatorMetrics } from './metrics.ts'
import type { ResourceStates } from './resource-states.ts'

export interface WatermarkReaderDeps {
  readonly invalidationStore: Pick<InvalidationStore, 'read'>
  readonly states: ResourceStates
  readonly metrics: Pick<InvalidatorMetrics, 'unreadable'>
  readonly logger: Logger
}

/** Reads the stored watermarks that are not known, and the foreign ones, which may have stopped. */
export async function readWatermarks({
  invalidationStore,
  states,
  metrics,
  logger,
}: WatermarkReaderDeps): Promise<void> {
  await Promise.all(
    states.all().map(async ({ resource: { name }, stored, pass, foreignReason }) => {
      if (pass !== null) return
      if (stored !== undefined && foreignReason === null) return
      const found = await invalidationStore.read(name)
      states.setWatermark(name, found)
      if (!isUnreadable(found)) return
      metrics.unreadable.labels('watermark').inc()
      logger.warn('unreadable watermark, flushing its resource', { resource: name })
    }),
  )
}
