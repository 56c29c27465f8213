import { z } from 'zod'
import { requireNamedLeader } from '../../db/writes/project.ts'
import { type AllowedUsers, type WriteRequest, writeRule } from '../endpoints/index.ts'
import { reference } from './field.ts'
import { peek } from './peek.ts'

// The users of rules that several files share.

export const SAME_USER: AllowedUsers = {
  description: 'the user and superusers',
  roles: ['owner', 'superuser'],
}

export const PROFILE_OWNER: AllowedUsers = {
  description: 'the owner of the profile and superusers',
  roles: ['owner', 'superuser'],
}

export const LEADERS: AllowedUsers = {
  description: 'leaders of the project and superusers',
  roles: ['leader', 'superuser'],
}

const ofProject = z.object({ project: reference })

/** Access for leaders of the project that the body names. */
export const leaderOfNamedProject = writeRule({
  ...LEADERS,
  enforce: (trx, { userId, sent }: WriteRequest<unknown>) =>
    requireNamedLeader(trx, peek(ofProject, sent)?.project, userId),
})
