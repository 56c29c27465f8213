import { z } from 'zod'
import { findMember } from '../../db/queries/member.ts'
import {
  deleteMember,
  insertMember,
  lockMember,
  type MemberKey,
  promoteMember,
  updateMember,
} from '../../db/writes/member.ts'
import { lockNamedProject, requireNamedLeader } from '../../db/writes/project.ts'
import { keepUsers } from '../../db/writes/user-locks.ts'
import { tinyMember } from '../../shared/shapes/member.ts'
import {
  create,
  del,
  type Endpoint,
  get,
  idOf,
  post,
  put,
  type Trx,
  user,
  type WriteRequest,
  writeRule,
} from '../endpoints/index.ts'
import { parse } from '../parse.ts'
import { ignoringNulls, integer, reference, text } from './field.ts'
import { peek } from './peek.ts'
import { LEADERS, leaderOfNamedProject } from './rules.ts'

const PATH = '/projects/project_members/:project/:user'

interface Params {
  readonly project: string
  readonly user: string
}

const params = { project: idOf('Project'), user: idOf('User') }

const keyOf = ({ project, user }: Params): MemberKey => ({ projectId: project, memberId: user })

const leader = writeRule({
  ...LEADERS,
  enforce: (trx, { params, userId }: WriteRequest<Params>) =>
    lockMember(trx, keyOf(params), userId),
})

const promotion = z.object({ project_id: reference, user_id: reference })

/** Access for leaders of the project that the body of a promotion names. Locks the member. */
const leaderOfPromotedMember = writeRule({
  ...LEADERS,
  async enforce(trx, { userId, sent }: WriteRequest<unknown>): Promise<MemberKey> {
    // An invalid body names no project: only a user who leads one may see its errors.
    if (!peek(promotion, sent)) await requireNamedLeader(trx, undefined, userId)
    const { project_id, user_id } = parse(promotion, sent)
    const key = { projectId: project_id, memberId: user_id }
    await lockMember(trx, key, userId)
    return key
  },
})

const find = (trx: Trx, { projectId, memberId }: MemberKey) => findMember(trx, projectId, memberId)

const shown = (trx: Trx, params: Params) => find(trx, keyOf(params))

const timeAllocation = z.number('A valid number is required.')
const position = integer(-(2 ** 31))

const memberFields = z.object({
  is_leader: z.boolean(),
  role: z.enum([
    'supervising',
    'research',
    'technical',
    'externalcol',
    'externalpeer',
    'academicsuper',
    'student',
    'consulted',
    'group',
  ]),
  time_allocation: timeAllocation,
  position,
  short_code: text(500),
  comments: text(),
})

const memberPatch = ignoringNulls(memberFields.partial())

const newMember = memberFields
  .extend({
    project: reference,
    user: reference,
    is_leader: memberFields.shape.is_leader.default(false),
    time_allocation: timeAllocation.nullable().default(0),
    position: position.nullable().default(100),
    short_code: memberFields.shape.short_code.nullable().default(null),
    comments: memberFields.shape.comments.nullable().default(null),
  })
  .transform(({ project, user, ...columns }) => ({
    ...columns,
    project_id: project,
    user_id: user,
  }))

/** Members of projects. Leaders of a project manage them. */
export const projectMemberEndpoints: readonly Endpoint[] = [
  create('/projects/project_members', {
    summary: 'Add a member to a project',
    access: leaderOfNamedProject,
    event: 'rights_change',
    body: newMember,
    answers: { 201: tinyMember },
    async lock(trx, _, { body }) {
      await keepUsers(trx, [body.user_id])
      await lockNamedProject(trx, body.project_id)
    },
    async insert(trx, _, { body }) {
      await insertMember(trx, body)
      return { projectId: body.project_id, memberId: body.user_id }
    },
    location: ({ projectId, memberId }) => `/projects/project_members/${projectId}/${memberId}`,
    shown: find,
  }),
  get(PATH, {
    summary: 'Get a member of a project',
    access: user,
    params,
    answers: { 200: tinyMember },
    etag: true,
    absent: ({ project, user }) => `Member not found for project ${project} and user ${user}`,
    read: shown,
  }),
  put(PATH, {
    summary: 'Change a member of a project',
    access: leader,
    event: 'rights_change',
    params,
    body: memberPatch,
    answers: { 200: tinyMember },
    shown,
    write: (trx, params, { body }) => updateMember(trx, keyOf(params), body),
  }),
  del(PATH, {
    summary: 'Remove a member from a project',
    access: leader,
    event: 'rights_change',
    params,
    answers: { 204: null },
    shown,
    write: (trx, params) => deleteMember(trx, keyOf(params)),
  }),
  post('/projects/promote', {
    summary: 'Make a member the only leader of a project',
    access: leaderOfPromotedMember,
    event: 'rights_change',
    body: promotion,
    answers: { 200: tinyMember },
    shown: (trx, _, { granted }) => find(trx, granted),
    write: (trx, _, { granted }) => promoteMember(trx, granted),
  }),
]
