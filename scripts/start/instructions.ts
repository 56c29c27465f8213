import { maskUrl } from '../mask-url.ts'
import type { DefaultSystem } from './default-system.ts'

/** Addresses of the services and servers. */
export interface Addresses {
  readonly api: string
  readonly apiMetrics: string
  readonly invalidatorMetrics: string | undefined
  readonly databaseUrl: string
  readonly redisUrl: string | undefined
}

/** Returns the text to print after the start. Passwords are masked, except those that `npm start` created. */
export function instructions(addresses: Addresses, made: DefaultSystem | undefined): string {
  const { api, apiMetrics, invalidatorMetrics, databaseUrl, redisUrl } = addresses
  const lines = [
    '',
    'SPMS is running.',
    '',
    ...(invalidatorMetrics
      ? [
          `  Console       ${invalidatorMetrics}/  shows whether the cache is right, fast and loaded`,
        ]
      : []),
    `  API           ${api}/api/v1`,
    `  API metrics   ${apiMetrics}/metrics`,
    ...(invalidatorMetrics ? [`  Invalidator   ${invalidatorMetrics}/metrics`] : []),
    `  Postgres      ${made ? databaseUrl : maskUrl(databaseUrl)}`,
    `  Redis         ${redisUrl === undefined ? 'none' : maskUrl(redisUrl)}`,
  ]
  if (made) {
    const { login, memberLogin } = made.seeded
    lines.push(
      `  Log-in        ${login.username} with password ${login.password}, at POST /api/v1/users/log-in`,
      `                ${memberLogin.username} with password ${memberLogin.password}, without the rights of a superuser`,
      '',
      'Open the console, then run these commands in order: a miss and a hit, a change by SQL, the new value.',
      '',
      ...tryThese(api, made.seeded.exampleProfileId).map((command) => `  ${command}`),
      '',
      'Ctrl-C stops everything. `npm run clean` removes all files that it created.',
    )
  }
  return [...lines, ''].join('\n')
}

/** Returns a curl command, a change, and the same curl command. It sends two requests and prints Cache-Status and value. */
function tryThese(api: string, profileId: string): readonly string[] {
  const url = `${api}/api/v1/users/staffprofiles/${profileId}/overview`
  const look = `curl -si -w '\\n' ${url} ${url} | grep -iE '^cache-status|expertise' | cut -c -100`
  const change =
    'npm run --silent spms -- sql "update users_publicstaffprofile ' +
    `set expertise = 'changed by SQL at ' || localtime(0) where id = ${profileId}"`
  return [look, change, look]
}
