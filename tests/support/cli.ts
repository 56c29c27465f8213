import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { root } from '../../scripts/paths.ts'
import { compiled } from './compiled.ts'
import { SYSTEM_SECRET } from './system.ts'

/** The servers that `npm run spms --` connects to. */
export interface CliTarget {
  readonly databaseUrl: string
  readonly redisUrl: string
  readonly prefix: string
  /** By default the secret of test systems. */
  readonly sessionSecrets?: string
}

/** Exit code, stdout and stderr of a command. */
export interface CliResult {
  readonly code: number | null
  readonly output: string
  readonly complaint: string
}

/** Starts a command that runs until it is stopped. Its stderr is inherited. */
export const startCli = async (
  target: CliTarget,
  ...words: readonly string[]
): Promise<ChildProcessByStdio<null, Readable, null>> =>
  spawn(process.execPath, await argsOf(words), {
    ...optionsOf(target),
    stdio: ['ignore', 'pipe', 'inherit'],
  })

/** Runs a command to its end. */
export async function runCli(target: CliTarget, ...words: readonly string[]): Promise<CliResult> {
  const child = spawn(process.execPath, await argsOf(words), {
    ...optionsOf(target),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [output, complaint, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { code: code as number | null, output, complaint }
}

/** Runs a command and pipes its output into a shell command such as `head`. Returns the result of the first. */
export async function runCliInto(
  reader: string,
  target: CliTarget,
  ...words: readonly string[]
): Promise<Omit<CliResult, 'output'>> {
  const child = spawn(process.execPath, await argsOf(words), {
    ...optionsOf(target),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const head = spawn('sh', ['-c', reader], { stdio: [child.stdout, 'ignore', 'inherit'] })
  // Closes our end, so that only the reader holds the pipe.
  child.stdout.destroy()
  const [complaint, [code]] = await Promise.all([
    text(child.stderr),
    once(child, 'exit'),
    once(head, 'exit'),
  ])
  return { code: code as number | null, complaint }
}

const argsOf = async (words: readonly string[]) => [await compiled('scripts/spms.ts'), ...words]

const optionsOf = ({
  databaseUrl,
  redisUrl,
  prefix,
  sessionSecrets = SYSTEM_SECRET,
}: CliTarget) => ({
  cwd: root,
  env: {
    ...process.env,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    CACHE_PREFIX: prefix,
    SESSION_SECRETS: sessionSecrets,
  },
})
