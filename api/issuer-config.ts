import { z } from 'zod'
import { list } from '../shared/config.ts'
import { type BearerConfig, TOKEN_ALGORITHMS, USER_CLAIMS } from './session/bearer.ts'

const webUrl = z.url({ protocol: /^https?$/ })

/** What the environment says of the issuer of bearer tokens: everything, or nothing. */
export const issuerSettings = z.object({
  JWT_ISSUER: webUrl.optional(),
  JWT_AUDIENCE: list.optional(),
  JWT_JWKS_URL: webUrl.optional(),
  JWT_ALGORITHMS: list.pipe(z.array(z.enum(TOKEN_ALGORITHMS))).default(['RS256', 'ES256']),
  JWT_USER_CLAIM: z.enum(USER_CLAIMS).default('email'),
})

type Settings = z.output<typeof issuerSettings>
type Needed = 'JWT_ISSUER' | 'JWT_AUDIENCE' | 'JWT_JWKS_URL'

/** A refinement: this setting must not be missing where one of the others is there. */
export function neededWithTheOthers(
  name: Needed,
): [(env: Settings) => boolean, z.core.$ZodCustomParams] {
  return [
    (env) =>
      env[name] !== undefined ||
      (env.JWT_ISSUER ?? env.JWT_AUDIENCE ?? env.JWT_JWKS_URL) === undefined,
    {
      path: [name],
      error: 'is needed with the other settings of the token issuer',
      // Said together with whatever else is wrong.
      when: ({ issues }) => !issues.some(({ path }) => path?.[0] === name),
    },
  ]
}

export const bearerConfig = (env: Settings): BearerConfig | null =>
  env.JWT_ISSUER && env.JWT_AUDIENCE && env.JWT_JWKS_URL
    ? {
        issuer: env.JWT_ISSUER,
        audiences: env.JWT_AUDIENCE,
        jwksUrl: env.JWT_JWKS_URL,
        algorithms: env.JWT_ALGORITHMS,
        userClaim: env.JWT_USER_CLAIM,
      }
    : null
