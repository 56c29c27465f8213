import { findAreas, findAreasOfType } from '../../db/queries/areas.ts'
import { defineResource } from '../cache/index.ts'
import { byVariant, type Find } from './load.ts'

const TYPES = ['dbcaregion', 'dbcadistrict', 'ibra', 'imcra', 'nrm'] as const

const ofType =
  (type: string): Find =>
  (trx) =>
    findAreasOfType(trx, type)

/** Every area on the map, and the areas of each type. */
export const areas = defineResource({
  name: 'location:areas',
  version: 1,
  key: 'location:all:areas',
  ttlMs: 60 * 60_000,
  staleIfError: true,
  load: byVariant({
    all: findAreas,
    ...Object.fromEntries(TYPES.map((type) => [type, ofType(type)])),
  }),
  staleWhen: [{ table: 'locations_area', watch: ['name', 'area_type'], key: {} }],
})
