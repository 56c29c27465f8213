import { type Kysely, expressionBuilder } from 'kysely'
import type { Database } from '../schema.ts'
import { findObject } from './text.ts'

/** Returns the names, title and contact data of a user, or null. */
export const findPersonalInformation = (
  trx: Kysely<Database>,
  userId: string,
): Promise<string | null> =>
  findObject(
    trx,
    expressionBuilder<Database>()
      .selectFrom('users_user as person')
      .leftJoin('users_userprofile as profile', 'profile.user_id', 'person.id')
      .leftJoin('contacts_usercontact as contact', 'contact.user_id', 'person.id')
      .select([
        'person.first_name',
        'person.last_name',
        'person.email',
        'person.display_first_name',
        'person.display_last_name',
        'profile.title',
        'contact.phone',
        'contact.fax',
      ])
      .where('person.id', '=', userId),
  )
