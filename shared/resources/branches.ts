import { findBranches } from '../../db/queries/branches.ts'
import { defineResource } from '../cache/index.ts'
import { byVariant } from './load.ts'

/** Every branch. */
export const branches = defineResource({
  name: 'agency:branches',
  version: 1,
  key: 'agency:all:branches',
  ttlMs: 60 * 60_000,
  staleIfError: true,
  load: byVariant({ all: findBranches }),
  staleWhen: [{ table: 'agencies_branch', watch: ['name', 'agency_id', 'manager_id'], key: {} }],
})
