import { DEPLOY_FAULTS } from './deploy.ts'
import type { Fault } from './fault.ts'
import { INVALIDATOR_FAULTS } from './invalidator.ts'
import { POSTGRES_FAULTS } from './postgres.ts'
import { REDIS_FAULTS } from './redis.ts'
import { SCHEMA_FAULTS } from './schema.ts'

/** Everything that is tried. */
export const FAULTS: readonly Fault[] = [
  ...DEPLOY_FAULTS,
  ...INVALIDATOR_FAULTS,
  ...POSTGRES_FAULTS,
  ...REDIS_FAULTS,
  ...SCHEMA_FAULTS,
]
