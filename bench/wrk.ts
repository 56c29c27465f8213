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
  /** The measured process. */
  readonly serverPid: number
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
/** Margins at both ends, which exclude connecting and disconnecting. */
const EDGE_MS = 200

const summarySchema = z.object({
  requests: z.number(),
  durationUs: z.number(),
  errors: z.number(),
})

/** Runs in which wrk ended before its CPU time was read, because this process was late. */
const MAX_LATE_RUNS = 3

/**
 * Sends as many requests as one thread can, over 32 connections.
 * @throws Error if a request fails, or if the server ends.
 */
export async function runWrk(options: WrkOptions): Promise<WrkRun> {
  for (let run = 1; run <= MAX_LATE_RUNS; run++) {
    const measured = await runOnce(options)
    if (measured) return measured
  }
  throw new Error(`wrk ended before its CPU time was read, ${MAX_LATE_RUNS} times in a row`)
}

/** Returns null if wrk ended before its CPU time was read. */
async function runOnce(options: WrkOptions): Promise<WrkRun | null> {
  const { wrk, origin, paths, headers, serverPid, seconds, cores } = options
  const script = fileURLToPath(new URL('wrk.lua', import.meta.url))
  const words = [
    ...(cores === undefined ? [] : ['taskset', '--cpu-list', cores]),
    wrk.command,
    ...['--threads', '1', '--connections', `${CONNECTIONS}`, '--duration', `${seconds}s`],
    ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
    ...['--script', script, origin, '--', ...paths],
  ]
  const child = spawn(words[0] as string, words.slice(1), {
    env: { ...process.env, ...wrk.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = text(child.stdout)
  await once(child, 'spawn')

  const readBoth = async () => ({
    client: await readCpu(child.pid ?? 0),
    server: await readCpu(serverPid),
  })
  await sleep(EDGE_MS)
  const before = await readBoth()
  await sleep(seconds * 1000 - 2 * EDGE_MS)
  const after = await readBoth()

  const summary = summarySchema.parse(JSON.parse(/^\{.*\}$/m.exec(await output)?.[0] ?? 'null'))
  if (summary.errors > 0)
    throw new Error(`wrk reported ${summary.errors} errors for ${origin}${paths[0]}`)
  if (!before.server || !after.server) throw new Error(`the server of ${origin} ended`)
  if (!before.client || !after.client) return null
  const perS = summary.requests / (summary.durationUs / 1e6)
  const server = cpuBetween(before.server, after.server)
  return {
    perS,
    client: cpuBetween(before.client, after.client),
    server,
    cpuUs: (server.ranMs * 1000) / (perS * (server.overMs / 1000)),
  }
}
