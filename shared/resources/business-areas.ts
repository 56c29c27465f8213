import { findBusinessAreas } from '../../db/queries/business-areas.ts'
import { defineResource } from '../cache/index.ts'
import { everyBusinessAreaRules } from './business-area-rules.ts'
import { byVariant } from './load.ts'

/** Every business area. */
export const businessAreas = defineResource({
  name: 'agency:business_areas',
  version: 1,
  key: 'agency:all:business_areas',
  ttlMs: 60 * 60_000,
  staleIfError: true,
  load: byVariant({ all: findBusinessAreas }),
  staleWhen: everyBusinessAreaRules,
})
