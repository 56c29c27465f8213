import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { ConfigMap, Container } from 'kubernetes-types/core/v1.d.ts'
import { root } from '../../scripts/paths.ts'
import type { Manifest } from './chart.ts'

/**
 * The objects besides the pod that a kubelet needs: the ConfigMaps of the release and Secrets.
 */
export interface Surroundings {
  readonly manifests: readonly Manifest[]
  /** Secret values by name and key. */
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>
}

/** A container of the chart, run as a local process. */
export interface PodProcess {
  /** The exit code or the terminating signal, and the output. */
  readonly ended: Promise<{ readonly code: number | string; readonly output: string }>
  stop(): void
}

/** Returns the complete environment of a container. */
export function environmentOf(
  container: Container,
  { manifests, secrets }: Surroundings,
): Record<string, string> {
  const maps = (container.envFrom ?? []).map(({ configMapRef }) => {
    const found = manifests.find(
      ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef?.name,
    ) as (Manifest & ConfigMap) | undefined
    if (!found?.data) throw new Error(`there is no ConfigMap ${configMapRef?.name}`)
    return found.data
  })
  const own = (container.env ?? []).map(({ name, value, valueFrom }) => {
    const { name: secret = '', key = '' } = valueFrom?.secretKeyRef ?? {}
    const found = value ?? secrets[secret]?.[key]
    if (found === undefined) throw new Error(`${name}: there is no key ${key} in ${secret}`)
    return [name, found]
  })
  const all: Record<string, string> = Object.assign({}, ...maps, Object.fromEntries(own))
  const expanded = (value: string) =>
    value.replaceAll(/\$\((\w+)\)/g, (reference, name: string) => all[name] ?? reference)
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, expanded(value)]))
}

/** Starts the program of a container's command from its TypeScript source. */
export function startContainer(
  { command = [], args = [] }: Container,
  environment: Readonly<Record<string, string>>,
): PodProcess {
  const [program, ...words] = [...command, ...args]
  if (program !== 'node') throw new Error(`the images have no ${program}`)
  const child = spawn(process.execPath, ['--import', 'tsx', ...words.map(toSource)], {
    cwd: root,
    env: { ...environment, SPMS_PARENT_FD: '3' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  child.stdio[3]?.on('error', () => {})
  const outputs = [child.stdout, child.stderr].flatMap((stream) =>
    stream === null ? [] : [text(stream)],
  )
  return {
    ended: once(child, 'exit').then(async ([code, signal]) => ({
      code: signal ?? code,
      output: (await Promise.all(outputs)).join(''),
    })),
    stop: () => child.kill('SIGTERM'),
  }
}

/** Maps `dist/api/main.js` to its source `api/main.ts`. */
const toSource = (word: string) => word.replace(/^dist\/(.*)\.js$/, '$1.ts')
