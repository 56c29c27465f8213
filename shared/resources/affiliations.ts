import { findAffiliations } from '../../db/queries/affiliations.ts'
import { defineResource } from '../cache/index.ts'
import { byVariant } from './load.ts'

/** Every affiliation. */
export const affiliations = defineResource({
  name: 'agency:affiliations',
  version: 1,
  key: 'agency:all:affiliations',
  ttlMs: 60 * 60_000,
  staleIfError: true,
  load: byVariant({ all: findAffiliations }),
  staleWhen: [
    { table: 'agencies_affiliation', watch: ['created_at', 'updated_at', 'name'], key: {} },
  ],
})
