import type { Transaction } from 'kysely'
import type { Database } from '../schema.ts'
import { changedAt, differsFrom, isEmpty, type Patch } from './patch.ts'
import { type LockedUser, updateUser } from './user.ts'

/** How a user wants to be called and reached. */
export type PersonalInformationPatch = Patch<
  'users_user',
  'display_first_name' | 'display_last_name'
> &
  Patch<'users_userprofile', 'title'> &
  Patch<'contacts_usercontact', 'phone' | 'fax'>

/**
 * Writes what was sent to the tables that hold it. A contact is made where there is none; a title
 * needs a profile, and without one it is not kept.
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
