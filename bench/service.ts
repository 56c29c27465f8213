import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root, stateDir } from '../scripts/paths.ts'
import { findFreePort } from '../scripts/servers/port.ts'
import { startProcess } from '../scripts/servers/server-process.ts'
import { untilReady } from '../scripts/start/service.ts'
import { built } from './build.ts'

/** A running service; sources of this project are compiled as for production. */
export interface Service {
  readonly pid: number
  /** Its base URL. */
  readonly origin: string
  /** Base URL of its internal port. */
  readonly metrics: string
  /** Returns the sum of a counter over all series with these labels. */
  count(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  stop(signal?: NodeJS.Signals): Promise<void>
}

export interface ServiceOptions {
  readonly env: NodeJS.ProcessEnv
  /** Cores to pin it to. */
  readonly cores?: string | undefined
  /** Path to poll until it returns 200, or `metrics` for the readiness of the metrics server. */
  readonly ready: { readonly path: string } | 'metrics'
}

/** Starts a service on free ports and waits until it is ready. @throws Error with its log if it exits. */
export async function startService(
  source: string,
  { env, cores, ready }: ServiceOptions,
): Promise<Service> {
  const [port, metricsPort] = [await findFreePort(), await findFreePort()]
  const origin = `http://127.0.0.1:${port}`
  const metrics = `http://127.0.0.1:${metricsPort}`
  await mkdir(join(stateDir, 'bench'), { recursive: true })
  const logPath = join(stateDir, 'bench', `${source.replaceAll(/\W+/g, '-')}.log`)
  const command = [
    ...(cores === undefined ? [] : ['taskset', '--cpu-list', cores]),
    process.execPath,
    source.endsWith('.ts') ? built(source) : join(root, source),
  ]
  const started = await startProcess({
    command: command[0] as string,
    args: command.slice(1),
    deathSignal: 'KILL',
    env: {
      ...process.env,
      NODE_ENV: 'production',
      LOG_LEVEL: 'warn',
      PORT: `${port}`,
      METRICS_PORT: `${metricsPort}`,
      ...env,
    },
    logPath,
  })

  const giveUp = new AbortController()
  const ended = started.ended.then(async () => {
    giveUp.abort()
    throw new Error(`${source} exited; its log:\n${(await readFile(logPath, 'utf8')).slice(-2000)}`)
  })
  ended.catch(() => {})
  const url = ready === 'metrics' ? `${metrics}/readyz` : `${origin}${ready.path}`
  await Promise.race([untilReady(url, giveUp.signal), ended])
  // untilReady also returns when the service has exited.
  if (giveUp.signal.aborted) await ended
  return {
    pid: started.pid,
    origin,
    metrics,
    stop: (signal = 'SIGTERM') => started.stop(signal),
    async count(name, labels = {}) {
      const text = await (await fetch(`${metrics}/metrics`)).text()
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
      return text
        .split('\n')
        .filter((line) => new RegExp(`^${name}[{ ]`).test(line))
        .filter((line) => wanted.every((label) => line.includes(label)))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    },
  }
}
