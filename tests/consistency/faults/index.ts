import { CLOCK_FAULTS } from './clock.ts'
import { COPY_FAULTS } from './copies.ts'
import { DEPLOY_FAULTS } from './deploy.ts'
import { EVENT_LOG_FAULTS } from './event-log.ts'
import { CLUSTER_FAULTS } from './cluster.ts'
import type { Fault } from './fault.ts'
import { FOREIGN_KEY_FAULTS } from './foreign-keys.ts'
import { INHERITANCE_FAULTS } from './inheritance.ts'
import { INVALIDATOR_FAULTS } from './invalidator.ts'
import { POLICY_FAULTS } from './policies.ts'
import { POSTGRES_FAULTS } from './postgres.ts'
import { PRIVILEGE_FAULTS } from './privileges.ts'
import { REDIS_FAULTS } from './redis.ts'
import { REWRITE_FAULTS } from './rewrites.ts'
import { SCHEMA_FAULTS } from './schema.ts'
import { SETTING_FAULTS } from './settings.ts'

/** Faults of Redis. No two of them run at once. */
export const FAULTS_OF_REDIS: readonly Fault[] = [
  ...CLOCK_FAULTS,
  ...FOREIGN_KEY_FAULTS,
  ...REDIS_FAULTS,
]

/** Faults that concern no Redis. */
const OTHER_FAULTS: readonly Fault[] = [
  ...COPY_FAULTS,
  ...DEPLOY_FAULTS,
  ...EVENT_LOG_FAULTS,
  ...INHERITANCE_FAULTS,
  ...INVALIDATOR_FAULTS,
  ...POLICY_FAULTS,
  ...POSTGRES_FAULTS,
  ...PRIVILEGE_FAULTS,
  ...REWRITE_FAULTS,
  ...SCHEMA_FAULTS,
  ...SETTING_FAULTS,
]

/** All faults of a system with one Redis. */
export const FAULTS: readonly Fault[] = [...OTHER_FAULTS, ...FAULTS_OF_REDIS]

/** All faults of a system with a Redis Cluster. */
export const FAULTS_WITH_CLUSTER: readonly Fault[] = [...OTHER_FAULTS, ...CLUSTER_FAULTS]
