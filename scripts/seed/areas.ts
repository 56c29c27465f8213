import { createRandom } from './random.ts'
import type { Rows } from './rows.ts'
import { stamps } from './time.ts'

/** Ids of areas. */
export interface Areas {
  /** Regions of the department. Every map knows them. */
  readonly regions: readonly number[]
  /** All areas, also the regions. */
  readonly all: readonly number[]
}

// Names as on the layers of the department's maps: a map finds an area by its name.
const NAMES = {
  dbcaregion: [
    'Goldfields',
    'Kimberley',
    'Midwest',
    'Pilbara',
    'South Coast',
    'South West',
    'Swan',
    'Warren',
    'Wheatbelt',
  ],
  dbcadistrict: [
    'Albany',
    'Blackwood',
    'Central Wheatbelt',
    'Donnelly',
    'East Kimberley',
    'Esperance',
    'Exmouth',
    'Frankland',
    'Geraldton',
    'Goldfields',
    'Great Southern',
    'Moora',
    'Perth Hills',
    'Shark Bay',
    'Swan Coastal',
    'Wellington',
    'West Kimberley',
  ],
  // Interim Biogeographic Regionalisation for Australia, version 7: the subregions in Western Australia.
  ibra: [
    'Ashburton',
    'Augustus',
    'Berkeley',
    'Cape Range',
    'Carlisle',
    'Carnegie',
    'Central',
    'Chichester',
    'Dandaragan Plateau',
    'Dune Field',
    'Eastern Goldfield',
    'Eastern Mallee',
    'Eastern Murchison',
    'Edel',
    'Fitzgerald',
    'Fitzroy Trough',
    'Fortescue',
    'Geraldton Hills',
    'Hamersley',
    'Hampton',
    'Hart',
    'Katanning',
    'Keep',
    'Lateritic Plain',
    'Lesueur Sandplain',
    'Mackay',
    'Mann-Musgrave Block',
    'Mardabilla',
    'McLarty',
    'Merredin',
    'Mitchell',
    'Mount Eliza',
    'Northern Jarrah Forest',
    'Nullarbor Plain',
    'Pentecost',
    'Perth',
    'Pindanland',
    'Purnululu',
    'Recherche',
    'Roebourne',
    'Rudall',
    'Shield',
    'South Kimberley Interzone',
    'Southern Cross',
    'Southern Jarrah Forest',
    'Tallering',
    'Tanami Desert',
    'Trainor',
    'Warren',
    'Western Mallee',
    'Western Murchison',
    'Wooramel',
  ],
  // Integrated Marine and Coastal Regionalisation of Australia: the waters of Western Australia.
  imcra: [
    'Abrolhos Islands',
    'Bonaparte Gulf',
    'Cambridge-Bonaparte',
    'Canning',
    'Central West Coast',
    'Eighty Mile Beach',
    'Eucla',
    'Kimberley',
    'King Sound',
    'Leeuwin-Naturaliste',
    'Ningaloo',
    'Northwest Shelf',
    'Oceanic Shoals',
    'Pilbara (nearshore)',
    'Pilbara (offshore)',
    'Shark Bay',
    'WA South Coast',
    'Zuytdorp',
  ],
  // Natural resource management.
  nrm: [
    'Ashmore and Cartier Islands',
    'Avon',
    'Christmas Island',
    'Cocos Keeling Islands',
    'Northern Agricultural',
    'Rangelands',
    'South Coast',
    'South West',
    'Swan',
  ],
} as const

/** Adds the areas of Western Australia, by which projects are placed on a map. */
export function addAreas(rows: Rows): Areas {
  const random = createRandom('areas')
  const add = (type: keyof typeof NAMES) =>
    NAMES[type].map((name) =>
      rows.add('locations_area', { ...stamps(random), name, area_type: type }),
    )
  const regions = add('dbcaregion')
  const others = (['dbcadistrict', 'ibra', 'imcra', 'nrm'] as const).flatMap(add)
  return { regions, all: [...regions, ...others] }
}
