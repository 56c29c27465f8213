import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt, differsFrom, isEmpty, type Patch } from './patch.ts'
import { type LockedUser, updateUser } from './user.ts'

/** The names, title and contact data of a user that may be changed. */
export type PersonalInformationPatch = Patch<
  'users_user',
  'display_first_name' | 'display_last_name'
> &
  Patch<'users_userprofile', 'title'> &
  Patch<'contacts_usercontact', 'phone' | 'fax'>

/**
 * Updates each column of the patch in its table. Inserts a contact if there is none. A title is ignored
 * if the user has no profile.
 */
export async function updatePersonalInformation(
  trx: Transaction<Database>,
  user: LockedUser,
  { display_first_name, display_last_name, title, ...contact }: PersonalInformationPatch,
): Promise<void> {
  await updateUser(trx, user, { display_first_name, display_last_name })
  await trx
    .updateTable('users_userprofile')
    .set({ title, updated_at: changedAt })
    .where('user_id', '=', user.id)
    .where(differsFrom({ title }))
    .execute()
  if (!isEmpty(contact)) await saveContact(trx, user.id, contact)
}

async function saveContact(
  trx: Transaction<Database>,
  user_id: string,
  contact: Patch<'contacts_usercontact', 'phone' | 'fax'>,
): Promise<void> {
  const { phone = null, fax = null } = contact
  const made = await trx
    .insertInto('contacts_usercontact')
    .values({
      user_id,
      phone,
      fax,
      email: null,
      alt_phone: null,
      created_at: changedAt,
      updated_at: changedAt,
    })
    .onConflict((conflict) => conflict.column('user_id').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (made) return
  await trx
    .updateTable('contacts_usercontact')
    .set({ ...contact, updated_at: changedAt })
    .where('user_id', '=', user_id)
    .where(differsFrom(contact))
    .execute()
}
