import type { Endpoint } from '../../api/endpoints/index.ts'
import type { Role } from '../../api/endpoints/access.ts'
import { type AccessRow, type Kind, KINDS } from './probe.ts'

const KIND_NAMES = Object.keys(KINDS) as Kind[]

/**
 * Returns the differences between the access that endpoints declare and the access that the rows of their
 * operations show.
 */
export function disagreements(
  endpoints: readonly Endpoint[],
  rows: readonly AccessRow[],
): readonly string[] {
  return endpoints.flatMap((endpoint) => {
    const { method, path, access } = endpoint
    const own = rows.filter((row) => row.method === method.toUpperCase() && row.path === path)
    const found = own.flatMap((row) =>
      KIND_NAMES.flatMap((kind) => {
        const given = row.access[kind]
        if (isDeclared(endpoint, given, rolesOf(kind, row))) return []
        return [`${row.method} ${path} (${row.target}) answers ${kind} with ${given}`]
      }),
    )
    if (!('roles' in access)) return found
    const missing = access.roles.filter(
      (role) =>
        !own.some((row) =>
          KIND_NAMES.some(
            (kind) => row.access[kind] === 'yes' && rolesOf(kind, row).includes(role),
          ),
        ),
    )
    return [...found, ...missing.map((role) => `${method} ${path} is never allowed for ${role}`)]
  })
}

/** Whether the declaration permits this answer to a user with these roles; none for an anonymous request. */
function isDeclared(
  { access }: Endpoint,
  given: AccessRow['access'][Kind],
  roles: readonly Role[],
): boolean {
  // A missing entity is answered with 404 on a public endpoint, too.
  if (access.kind === 'anyone') return given === 'yes' || given === 404
  if (roles.length === 0) return given === 401
  // A read with access for all users may still hide an entity from some of them.
  if (access.kind === 'user') return given === 'yes' || given === 404
  return given !== 401 && (given !== 'yes' || roles.some((role) => access.roles.includes(role)))
}

function rolesOf(kind: Kind, { target }: AccessRow): readonly Role[] {
  if (kind === 'anonymous') return []
  if (kind === 'leader') return ['leader', 'member']
  const isOwnRequest = kind === 'covered' && target.includes('requested by the covered user')
  return isOwnRequest ? ['covered', 'requester'] : [kind]
}
