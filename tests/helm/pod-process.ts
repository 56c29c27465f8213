import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { ConfigMap, Container } from 'kubernetes-types/core/v1.d.ts'
import { root } from '../../scripts/paths.ts'
import { compiled } from '../support/compiled.ts'
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

/** Starts the program of a container's command. Scripts of the image are compiled from the present sources. */
export async function startContainer(
  { command = [], args = [] }: Container,
  environment: Readonly<Record<string, string>>,
): Promise<PodProcess> {
  const [program, ...words] = [...command, ...args]
  if (program !== 'node') throw new Error(`the images have no ${program}`)
  const child = spawn(process.execPath, await Promise.all(words.map(toScript)), {
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

/** Replaces `dist/api/main.js` by the path of the same script on this machine. Keeps other words. */
async function toScript(word: string): Promise<string> {
  const [, name] = /^dist\/(.*)\.js$/.exec(word) ?? []
  return name === undefined ? word : compiled(`${name}.ts`)
}
