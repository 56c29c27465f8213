import { z } from 'zod'
import { apiSettings } from '../../api/config.ts'
import { invalidatorSettings } from '../../invalidator/config.ts'
import { SECRETS } from '../../shared/secret-files.ts'

/** Returns the page of all environment variables, generated from the schemas that parse them. */
export function describeConfiguration(resourceNames: readonly string[]): string {
  const services = {
    API: apiSettings(resourceNames).shape,
    invalidator: invalidatorSettings.shape,
  }
  const names = new Set(Object.values(services).flatMap((shape) => Object.keys(shape)))
  const rows = [...names].toSorted().flatMap((name) => {
    const found = Object.entries<Readonly<Record<string, z.ZodType>>>(services).flatMap(
      ([service, shape]) => (shape[name] ? [{ service, schema: shape[name] }] : []),
    )
    // Variables without a description exist only to be rejected.
    const about = found[0]?.schema.meta()?.description
    if (about === undefined) return []
    const defaults = found.map(({ schema }) => defaultOf(schema))
    const differ = new Set(defaults).size > 1
    const shown = differ
      ? found.map(({ service }, at) => `${defaults[at]} (${service})`).join(', ')
      : defaults[0]
    const readers = found.map(({ service }) => service).join(', ')
    return [`| \`${name}\` | ${readers} | ${shown} | ${about} |`]
  })
  return `# Configuration

\`npm run docs\` makes this page from the schemas that parse the environment. A service reads its environment once, when
it starts. It reports every mistake at once, by name, and exits. An empty variable counts as not set.

| variable | read by | default | description |
|---|---|---|---|
${rows.join('\n')}

## Secrets in files

${SECRETS.map((name) => `\`${name}_FILE\``).join(', ')} name files that contain the setting, as container platforms mount
secrets. A setting that is given in both ways is rejected.

## npm start

\`npm start\` passes its environment to both services. \`PORT\` is the port of the API; \`API_METRICS_PORT\` and
\`INVALIDATOR_METRICS_PORT\` replace \`METRICS_PORT\`, and are free ports by default. Without \`DATABASE_URL\` it starts Postgres
and Redis itself.
`
}

function defaultOf(schema: z.ZodType): string {
  const { otherwise } = schema.meta() ?? {}
  if (typeof otherwise === 'string') return otherwise
  const parsed = schema.safeParse(undefined)
  if (!parsed.success) return 'required'
  const values = z.array(z.coerce.string()).parse([parsed.data ?? []].flat())
  return values.length === 0 ? 'none' : `\`${values.join(',')}\``
}
