import { expressionBuilder } from 'kysely'
import type { Database } from '../../schema.ts'

const eb = expressionBuilder<Database>()

/**
 * Selects every job of CVs, the latest first; callers add conditions. A descending order
 * puts nulls first, so current jobs come before those that have ended.
 */
export const selectEmployment = () =>
  eb
    .selectFrom('users_employmententry as entry')
    .select([
      'entry.id',
      'entry.position_title',
      'entry.start_year',
      'entry.end_year',
      'entry.section',
      'entry.employer',
      'entry.public_profile_id as public_profile',
    ])
    .orderBy('entry.start_year', 'desc')
    .orderBy('entry.end_year', 'desc')
    .orderBy('entry.id')

/** Selects every qualification of CVs, the latest first; callers add conditions. */
export const selectEducation = () =>
  eb
    .selectFrom('users_educationentry as entry')
    .select([
      'entry.id',
      'entry.qualification_name',
      'entry.end_year',
      'entry.institution',
      'entry.location',
      'entry.public_profile_id as public_profile',
    ])
    .orderBy('entry.end_year', 'desc')
    .orderBy('entry.id')
