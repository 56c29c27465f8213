import { z } from 'zod'
import { list, positiveNumber } from '../shared/config.ts'
import {
  type BearerConfig,
  TOKEN_ALGORITHMS,
  USER_CLAIMS,
  VERIFIED_CLAIMS,
} from './session/bearer.ts'

const webUrl = z.url({ protocol: /^https?$/ })

/** Without TLS an attacker on the network path could replace the keys. */
const keysUrl = webUrl.refine((text) => {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || isLoopback(hostname)
}, 'must begin with https://, except on this machine')

const isLoopback = (hostname: string) =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)

const DAY_S = 24 * 60 * 60

/**
 * Settings of the issuer of bearer tokens. The three without a default are set together or not at
 * all.
 */
export const issuerSettings = z.object({
  JWT_ISSUER: webUrl
    .optional()
    .describe(
      'Issuer of accepted bearer tokens. `JWT_ISSUER`, `JWT_AUDIENCE` and `JWT_JWKS_URL` are set together or not at all.',
    ),
  JWT_AUDIENCE: list.optional().describe('Comma list of audiences; a token needs one of them.'),
  JWT_JWKS_URL: keysUrl
    .optional()
    .describe("The issuer's signing keys (JWKS): an `https` address, or one of this machine."),
  JWT_ALGORITHMS: list
    .pipe(z.array(z.enum(TOKEN_ALGORITHMS)))
    .default(['RS256', 'ES256'])
    .describe('Comma list of accepted signature algorithms; asymmetric ones only.'),
  JWT_USER_CLAIM: z
    .enum(USER_CLAIMS)
    .default('email')
    .describe(
      "The claim that identifies the user: `email`, or `sub` if the issuer's subjects are user ids of this system.",
    ),
  JWT_EMAIL_VERIFIED_CLAIM: z
    .enum(VERIFIED_CLAIMS)
    .default('email_verified')
    .describe(
      'The claim that confirms the email address. `xms_edov` for Microsoft Entra; `none` accepts every address (see operations.md).',
    ),
  JWT_MAX_LIFETIME_S: positiveNumber
    .default(DAY_S)
    .describe('Longest accepted lifetime of a bearer token, in s.'),
})

type Settings = z.output<typeof issuerSettings>
type Needed = 'JWT_ISSUER' | 'JWT_AUDIENCE' | 'JWT_JWKS_URL'

/** Returns a refinement that requires a setting if one of the other two is set. */
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
      // Zod skips refinements after another issue by default. This one is reported with it.
      when: ({ issues }) => !issues.some(({ path }) => path?.[0] === name),
    },
  ]
}

/** Returns the configuration of bearer tokens; null if no issuer is configured. */
export const bearerConfig = (env: Settings): BearerConfig | null =>
  env.JWT_ISSUER && env.JWT_AUDIENCE && env.JWT_JWKS_URL
    ? {
        issuer: env.JWT_ISSUER,
        audiences: env.JWT_AUDIENCE,
        jwksUrl: env.JWT_JWKS_URL,
        algorithms: env.JWT_ALGORITHMS,
        userClaim: env.JWT_USER_CLAIM,
        emailVerifiedClaim: env.JWT_EMAIL_VERIFIED_CLAIM,
        maxLifetimeS: env.JWT_MAX_LIFETIME_S,
      }
    : null
