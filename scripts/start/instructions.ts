import { maskUrl } from '../mask-url.ts'
import type { DefaultServers } from './default-servers.ts'

/** Where everything listens. */
export interface Addresses {
  readonly api: string
  readonly apiMetrics: string
  readonly invalidatorMetrics: string | undefined
  readonly databaseUrl: string
  readonly redisUrl: string | undefined
}

/** What is printed when all is up. Only passwords that were made here are shown. */
export function instructions(addresses: Addresses, made: DefaultServers | undefined): string {
  const { api, apiMetrics, invalidatorMetrics, databaseUrl, redisUrl } = addresses
  const lines = [
    '',
    'SPMS is running.',
    '',
    `  API           ${api}/api/v1`,
    `  its metrics   ${apiMetrics}/metrics`,
    ...(invalidatorMetrics ? [`  Invalidator   ${invalidatorMetrics}/metrics`] : []),
    `  Postgres      ${made ? databaseUrl : maskUrl(databaseUrl)}`,
    `  Redis         ${redisUrl === undefined ? 'none' : maskUrl(redisUrl)}`,
  ]
  if (made) {
    const { username, password } = made.seeded.login
    lines.push(
      `  Log-in        ${username} with password ${password}, at POST /api/v1/users/log-in`,
      '',
      'Try these, in this order: miss then hit; a change; the new value at once.',
      '',
      ...tryThese(api, made.seeded.exampleProfileId).map((command) => `  ${command}`),
      '',
      'Ctrl-C stops everything. `npm run clean` removes all that this made.',
    )
  }
  return [...lines, ''].join('\n')
}

/** The same curl before and after a change. It asks twice, and shows how and with what each was answered. */
function tryThese(api: string, profileId: string): readonly string[] {
  const url = `${api}/api/v1/users/staffprofiles/${profileId}/overview`
  const look = `curl -si -w '\\n' ${url} ${url} | grep -iE '^cache-status|expertise' | cut -c -100`
  const change =
    'npm run --silent spms -- sql "update users_publicstaffprofile ' +
    `set expertise = 'changed by SQL at ' || localtime(0) where id = ${profileId}"`
  return [look, change, look]
}
