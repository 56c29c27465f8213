import { z } from 'zod'
import { run } from '../scripts/servers/run.ts'
import { built } from './build.ts'
import type { Servers } from './servers.ts'

const reportSchema = z.object({
  emptyMs: z.array(z.number()),
  singleMs: z.array(z.number()),
  drainMs: z.array(z.number()),
  backlog: z.number(),
})

/** Milliseconds of windows without events, with one event, and with `backlog` events. */
export type WindowTimes = Readonly<z.output<typeof reportSchema>>

/** Runs the invalidator's worker in its own process, without its scheduler. */
export async function runWindows(
  { databaseUrl, redisUrl, prefix }: Servers,
  { windows, drains }: { readonly windows: number; readonly drains: number },
): Promise<WindowTimes> {
  const output = await run(process.execPath, [built('bench/arms/windows.ts')], {
    env: {
      ...process.env,
      LOG_LEVEL: 'error',
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      // Its own watermarks, because an invalidator owns those of the other parts.
      CACHE_PREFIX: `${prefix}-windows`,
      WINDOWS: `${windows}`,
      DRAINS: `${drains}`,
    },
  })
  return reportSchema.parse(JSON.parse(lastLine(output)))
}

/** Returns the report, which follows the log output. */
const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? ''
