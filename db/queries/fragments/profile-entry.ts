import { expressionBuilder } from 'kysely'
import type { Database } from '../../schema.ts'

const eb = expressionBuilder<Database>()

/**
 * Employment as a CV shows it (S.Employment), the latest first; to be narrowed. Postgres puts nulls
 * first when it descends: whatever goes on comes before what has ended.
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

/** Education as a CV shows it (S.Education), the latest first; to be narrowed. */
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
