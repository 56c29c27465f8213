import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Runs a command to its end and answers what it printed. Rejects with what it complained of. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { stdout } = await execute(command, args, { ...options, maxBuffer: 16 * 1024 * 1024 })
  return stdout
}

/** Whether a command ends well. A command that does not exist does not. */
export async function succeeds(
  command: string,
  args: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv } = {},
): Promise<boolean> {
  return run(command, args, options).then(
    () => true,
    () => false,
  )
}
