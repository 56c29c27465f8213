import type { Rule } from '../cache/index.ts'
import { businessAreasOfDivisions, entries, given, leadersOfBusinessAreas } from './lookups.ts'

/** Returns the rules of users' entries that show the business areas which the user leads. */
export const ledBusinessAreaRules = (param: string): Rule[] => [
  {
    table: 'agencies_businessarea',
    watch: ['name', 'leader_id', 'caretaker_id', 'division_id'],
    key: { [param]: 'leader_id' },
  },
  {
    table: 'medias_businessareaphoto',
    watch: ['business_area_id', 'file'],
    from: ['business_area_id'],
    query: entries(param, leadersOfBusinessAreas(given)),
  },
  {
    table: 'agencies_division',
    watch: ['name', 'slug'],
    from: ['id'],
    query: entries(param, leadersOfBusinessAreas(businessAreasOfDivisions(given))),
  },
  // The entries show the number of projects of the area.
  {
    table: 'projects_project',
    watch: ['business_area_id'],
    from: ['business_area_id'],
    query: entries(param, leadersOfBusinessAreas(given)),
  },
]
