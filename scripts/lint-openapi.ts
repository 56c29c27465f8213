import { createConfig, lintFromString } from '@redocly/openapi-core'
import core, { type RulesetDefinition } from '@stoplight/spectral-core'
import parsers from '@stoplight/spectral-parsers'
import rulesets from '@stoplight/spectral-rulesets'
import { readOpenApiDocument } from './openapi.ts'

/** Findings that are accepted, because existing clients and monitors use these paths. */
const ACCEPTED: readonly (readonly [rule: RegExp, location: RegExp])[] = [
  // Ids are digits, and fixed segments match first, so the paths are not ambiguous.
  [/no-ambiguous-paths$/, /^#\/paths\/~1api~1v1~1(?:users|projects)~1/],
  // Monitors request `/health/`.
  [/trailing-slash$/, /^#\/paths\/~1health~1$/],
  // Probes have no parameters that could be invalid.
  [/operation-4xx-response$/, /^#\/paths\/~1(?:livez|readyz|health~1)\/get/],
]

/** A finding of a linter. */
interface Finding {
  readonly rule: string
  readonly location: string
  readonly message: string
}

async function lintWithRedocly(source: string): Promise<Finding[]> {
  const config = await createConfig({ extends: ['recommended'] })
  const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config })
  return problems.map(({ ruleId, message, location }) => ({
    rule: `redocly ${ruleId}`,
    location: location[0]?.pointer ?? '',
    message,
  }))
}

async function lintWithSpectral(source: string): Promise<Finding[]> {
  const spectral = new core.Spectral()
  spectral.setRuleset({ extends: [[rulesets.oas as RulesetDefinition, 'recommended']], rules: {} })
  const problems = await spectral.run(new core.Document(source, parsers.Json, 'openapi.json'))
  return problems.map(({ code, path, message }) => ({
    rule: `spectral ${code}`,
    location: `#/${path.map((part) => String(part).replaceAll('/', '~1')).join('/')}`,
    message,
  }))
}

const source = await readOpenApiDocument()
const findings = [...(await lintWithRedocly(source)), ...(await lintWithSpectral(source))]
const open = findings.filter(
  ({ rule, location }) =>
    !ACCEPTED.some(([rules, places]) => rules.test(rule) && places.test(location)),
)
for (const { rule, location, message } of open) console.error(`${rule}: ${location}: ${message}`)
console.log(
  `the OpenAPI document: ${open.length} findings, ${findings.length - open.length} accepted`,
)
process.exitCode = open.length === 0 ? 0 : 1
