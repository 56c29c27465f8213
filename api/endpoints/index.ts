export {
  type Access,
  activeUser,
  anyone,
  type AllowedUsers,
  EVERY_ROLE,
  type Id,
  readRule,
  ruleById,
  superuser,
  superuserOf,
  user,
  type WriteRequest,
  type WriteRule,
  writeRule,
} from './access.ts'
export { type AnswerCached, createCachedReads } from './cached-reads.ts'
export type { Endpoint, Trx } from './endpoint.ts'
export { getCached, getPublic } from './get-cached.ts'
export { get, getOrPost, getPieces, type RunQuery } from './get.ts'
export { handle } from './handle.ts'
export { item } from './item.ts'
export { idOf, oneOf } from './path-parameters.ts'
export { createEndpointRouter } from './router.ts'
export { create, del, post, put } from './write.ts'
