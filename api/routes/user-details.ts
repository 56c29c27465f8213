import { z } from 'zod'
import { findMembership } from '../../db/queries/membership.ts'
import { findPersonalInformation } from '../../db/queries/personal-information.ts'
import { lockMembership, updateMembership } from '../../db/writes/membership.ts'
import { updatePersonalInformation } from '../../db/writes/personal-information.ts'
import { lockUser } from '../../db/writes/user.ts'
import { membership } from '../../shared/shapes/membership.ts'
import { personalInformation } from '../../shared/shapes/personal-information.ts'
import { type Endpoint, idOf, put, ruleById } from '../endpoints/index.ts'
import { reference, text } from './field.ts'
import { SAME_USER } from './rules.ts'

const informationPatch = z
  .object({
    display_first_name: text(201).nullable(),
    display_last_name: text(201).nullable(),
    title: text(20).nullable(),
    phone: text(20).nullable(),
    fax: text(20).nullable(),
  })
  .partial()

const membershipPatch = z
  .object({
    role: text(30).nullable(),
    business_area: reference.nullable(),
    affiliation: reference.nullable(),
    branch: reference.nullable(),
  })
  .partial()
  .transform(({ business_area, affiliation, branch, ...rest }) => ({
    ...rest,
    business_area_id: business_area,
    affiliation_id: affiliation,
    branch_id: branch,
  }))

/** Details of users: personal information, and membership in the organisation. */
export const userDetailEndpoints: readonly Endpoint[] = [
  put('/users/:id/pi', {
    summary: 'Change the personal information of a user',
    access: ruleById(SAME_USER, lockUser),
    params: { id: idOf('User') },
    body: informationPatch,
    answers: { 200: personalInformation },
    shown: (trx, { id }) => findPersonalInformation(trx, id),
    write: (trx, _, { body, granted }) => updatePersonalInformation(trx, granted, body),
  }),
  put('/users/:id/membership', {
    summary: 'Change the membership of a user in the organisation',
    access: ruleById(SAME_USER, lockMembership),
    params: { id: idOf('User') },
    body: membershipPatch,
    answers: { 200: membership },
    shown: (trx, { id }) => findMembership(trx, id),
    write: (trx, { id }, { body }) => updateMembership(trx, id, body),
  }),
]
