import type { Logger } from 'winston'
import type { DatabaseIdentity, Installation } from '../db/event-log/index.ts'
import { DISABLED } from '../shared/cache/index.ts'
import { createForeignWatermarkCheck } from './foreign-watermarks.ts'
import type { WindowReading } from './read-window.ts'
import { causesOf, type ResourceState, type ResourceStates } from './resource-states.ts'
import { checkTriggers } from './trigger-health.ts'

export interface ResourceCheckDeps {
  readonly states: ResourceStates
  readonly logger: Logger
}

/**
 * Returns a function that checks, for each resource, whether this worker may replace the watermark, and
 * whether the triggers are intact.
 */
export function createResourceCheck({
  states,
  logger,
}: ResourceCheckDeps): (reading: WindowReading) => void {
  const foreignWatermarkCheck = createForeignWatermarkCheck()
  /** The installation with which each resource was last compared. */
  const checked = new Map<string, Installation>()

  function checkWatermark(state: ResourceState, database: DatabaseIdentity): void {
    const { resource, mark } = state
    // A watermark that this process wrote is its own in any incarnation, if it is still stored.
    const isForeign =
      state.pass === null &&
      mark !== null &&
      mark.incarnation !== database.incarnation &&
      !states.isWritten(state)
    const foreignReason = isForeign ? foreignWatermarkCheck.check(state.id, mark, database) : null
    if (foreignReason !== null && foreignReason !== state.foreignReason) {
      logger.error('another database invalidates in this Redis, leaving its watermark alone', {
        resource: resource.name,
        reason: foreignReason,
        origin: mark?.origin,
      })
    }
    states.setForeignReason(state, foreignReason)
  }

  /**
   * An inspection returns a new installation, whose result for a resource stays the same. So the hashes
   * are computed once for each inspection and not in each window.
   */
  function checkInstallation(state: ResourceState, installation: Installation): void {
    const { resource } = state
    if (state.triggerHealth !== null && checked.get(resource.name) === installation) return
    checked.set(resource.name, installation)
    const triggerHealth = checkTriggers(resource, installation)
    const causes = causesOf(triggerHealth)
    if (causes.join() !== causesOf(state.triggerHealth).join()) {
      const fields = { resource: resource.name, causes }
      if (triggerHealth.keyVersion === DISABLED) {
        logger.error('not cached: changes of its tables may go unlogged', fields)
      } else logger.info('cached again: all changes of its tables are logged', fields)
    }
    states.setTriggerHealth(resource, triggerHealth)
  }

  return ({ readSnapshot, installation }) => {
    for (const state of states.all()) {
      const { mark, foreignReason } = state
      const isOurs = mark === null || mark.incarnation === readSnapshot.database.incarnation
      if (!isOurs || foreignReason !== null) checkWatermark(state, readSnapshot.database)
      // The triggers are the same in all buckets.
      if (state.bucket === 0) checkInstallation(state, installation)
    }
  }
}
