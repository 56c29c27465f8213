import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import type { PackagedProgram } from '../scripts/servers/packaged-program.ts'
import { type CpuUse, cpuBetween, readCpu } from './cpu.ts'

export interface WrkOptions {
  readonly wrk: PackagedProgram
  readonly origin: string
  /** Paths to request, one after the other. */
  readonly paths: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  readonly seconds: number
  /** Cores for the client. */
  readonly cores: string | undefined
}

/** Throughput of a server, and the CPU use of client and server. */
export interface WrkRun {
  readonly perS: number
  readonly client: CpuUse
  readonly server: CpuUse
  /** CPU microseconds of the server per request. */
  readonly cpuUs: number
}

const CONNECTIONS = 32
/** Longer than a saturated server takes on a busy machine. */
const TIMEOUT_S = 20
/** Margins at both ends, which exclude connecting and disconnecting. */
const EDGE_MS = 200

const summarySchema = z.object({
  requests: z.number(),
  durationUs: z.number(),
  errors: z.number(),
})

/** A running wrk. */
export interface StartedWrk {
  readonly pid: number
  /** Requests per second. Rejects if a request fails. */
  readonly perS: Promise<number>
}

/** Starts wrk, which sends as many requests as one thread can, over 32 connections. */
export async function startWrk(options: WrkOptions): Promise<StartedWrk> {
  const { wrk, origin, paths, headers, seconds, cores } = options
  const script = fileURLToPath(new URL('wrk.lua', import.meta.url))
  const words = [
    ...(cores === undefined ? [] : ['taskset', '--cpu-list', cores]),
    wrk.command,
    ...['--threads', '1', '--connections', `${CONNECTIONS}`],
    ...['--duration', `${seconds}s`, '--timeout', `${TIMEOUT_S}s`],
    ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
    ...['--script', script, origin, '--', ...paths],
  ]
  const child = spawn(words[0] as string, words.slice(1), {
    env: { ...process.env, ...wrk.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const perS = text(child.stdout).then((output) => {
    const summary = summarySchema.parse(JSON.parse(/^\{.*\}$/m.exec(output)?.[0] ?? 'null'))
    if (summary.errors > 0)
      throw new Error(`wrk reported ${summary.errors} errors for ${origin}${paths[0]}`)
    return summary.requests / (summary.durationUs / 1e6)
  })
  perS.catch(() => {})
  await once(child, 'spawn')
  return { pid: child.pid ?? 0, perS }
}

/** Runs in which wrk ended before its CPU time was read, because this process was late. */
const MAX_LATE_RUNS = 3

/**
 * Measures the throughput of a server, and the CPU use of client and server.
 * @throws Error if a request fails, or if the server ends.
 */
export async function runWrk(options: WrkOptions, serverPid: number): Promise<WrkRun> {
  for (let run = 1; run <= MAX_LATE_RUNS; run++) {
    const measured = await runOnce(options, serverPid)
    if (measured) return measured
  }
  throw new Error(`wrk ended before its CPU time was read, ${MAX_LATE_RUNS} times in a row`)
}

/** Returns null if wrk ended before its CPU time was read. */
async function runOnce(options: WrkOptions, serverPid: number): Promise<WrkRun | null> {
  const { origin, seconds } = options
  const started = await startWrk(options)
  const readBoth = async () => ({
    client: await readCpu(started.pid),
    server: await readCpu(serverPid),
  })
  await sleep(EDGE_MS)
  const before = await readBoth()
  await sleep(seconds * 1000 - 2 * EDGE_MS)
  const after = await readBoth()

  const perS = await started.perS
  if (!before.server || !after.server) throw new Error(`the server of ${origin} ended`)
  if (!before.client || !after.client) return null
  const server = cpuBetween(before.server, after.server)
  return {
    perS,
    client: cpuBetween(before.client, after.client),
    server,
    cpuUs: (server.ranMs * 1000) / (perS * (server.overMs / 1000)),
  }
}
