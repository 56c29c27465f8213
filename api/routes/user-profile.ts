import { z } from 'zod'
import { findProfileText } from '../../db/queries/profile-text.ts'
import { deleteAvatar, replaceAvatar } from '../../db/writes/avatar.ts'
import { lockOwnProfile } from '../../db/writes/profile-text.ts'
import { updateStaffProfile } from '../../db/writes/staff-profile.ts'
import { lockUser } from '../../db/writes/user.ts'
import { profileText } from '../../shared/shapes/profile-text.ts'
import { del, type Endpoint, idOf, post, put, ruleById } from '../endpoints/index.ts'
import { UploadedFile } from '../http/form.ts'
import { fileOrUrl, MAX_PROFILE_TEXT, text } from './field.ts'
import { SAME_USER } from './rules.ts'

const AVATARS = 'user_avatars'

const params = { id: idOf('User') }

// Clients also send `userPk`, which is ignored: the path names the user.
const profilePatch = z
  .object({
    about: text(MAX_PROFILE_TEXT).nullable(),
    expertise: text(MAX_PROFILE_TEXT).nullable(),
    image: fileOrUrl.nullable(),
  })
  .partial()

const removal = {
  summary: 'Remove the avatar of a user',
  access: ruleById(SAME_USER, lockUser),
  params,
  answers: { 204: null },
} as const

/** The profile that users edit themselves: texts of the staff profile, and the avatar. */
export const userProfileEndpoints: readonly Endpoint[] = [
  put('/users/:id/profile', {
    summary: 'Change the texts of a staff profile, and the avatar of its user',
    access: ruleById(SAME_USER, lockOwnProfile),
    params,
    body: profilePatch,
    acceptsForm: true,
    answers: { 200: profileText },
    async prepare({ body }, _, __, files) {
      const { image } = (body ?? {}) as { readonly image?: unknown }
      // The URL of an image is that of the present one: it stays.
      return image instanceof UploadedFile ? files.addImage(AVATARS, image.bytes) : null
    },
    shown: (trx, { id }) => findProfileText(trx, id),
    async write(trx, { id }, { body: { about, expertise }, granted, prepared, files }) {
      await updateStaffProfile(trx, granted, { about, expertise })
      if (prepared !== null) files.discard(await replaceAvatar(trx, id, prepared))
    },
  }),
  post('/users/:id/remove_avatar', {
    ...removal,
    write: async (trx, { id }, { files }) => files.discard(await deleteAvatar(trx, id)),
  }),
  del('/users/:id/remove_avatar', {
    ...removal,
    write: async (trx, { id }, { files }) => files.discard(await deleteAvatar(trx, id)),
  }),
]
