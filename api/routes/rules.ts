import { z } from 'zod'
import { requireNamedLeader } from '../../db/writes/project.ts'
import { type Documented, type WriteRequest, writeRule } from '../endpoints/index.ts'
import { reference } from './field.ts'
import { peek } from './peek.ts'

// The users of rules that several files share.

export const SAME_USER: Documented = {
  description: 'the user and superusers',
  roles: ['owner', 'superuser'],
}

export const PROFILE_OWNER: Documented = {
  description: 'the owner of the profile and superusers',
  roles: ['owner', 'superuser'],
}

export const LEADERS: Documented = {
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
