import { readProcFile } from './proc-file.ts'
import { run } from './run.ts'

/** Returns the command line of a running process; an empty string if the process does not exist. */
export async function readCommandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const words = await readProcFile(`/proc/${pid}/cmdline`)
    return (words ?? '').replaceAll('\0', ' ')
  }
  return run('ps', ['-ww', '-o', 'command=', '-p', `${pid}`]).catch(() => '')
}
