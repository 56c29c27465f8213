import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Runs a command and returns its output. Rejects with its error output if it fails. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { stdout } = await execute(command, args, { ...options, maxBuffer: 16 * 1024 * 1024 })
  return stdout
}

/** Returns whether a command exits with 0; false if it does not exist. */
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
