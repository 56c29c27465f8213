import { z } from 'zod'
import { findArea } from '../../db/queries/areas.ts'
import { areas } from '../../shared/resources/index.ts'
import { area, areaDetail } from '../../shared/shapes/area.ts'
import { type Endpoint, get, getCached, idOf, user } from '../endpoints/index.ts'

// The last segment of a path, and the cache variant: the type of the listed areas.
const LISTS = [
  ['list', 'all'],
  ['dbcaregions', 'dbcaregion'],
  ['dbcadistricts', 'dbcadistrict'],
  ['ibra', 'ibra'],
  ['imcra', 'imcra'],
  ['nrm', 'nrm'],
] as const

/** Areas on the map. */
export const locationEndpoints: readonly Endpoint[] = [
  ...LISTS.map(([path, variant]) =>
    getCached(`/locations/${path}`, {
      summary: 'List areas on the map by name',
      access: user,
      answers: { 200: z.array(area) },
      resource: areas,
      variant,
    }),
  ),
  get('/locations/:id', {
    summary: 'Get an area on the map',
    access: user,
    params: { id: idOf('Area') },
    answers: { 200: areaDetail },
    read: (trx, { id }) => findArea(trx, id),
  }),
]
