import { expect } from 'chai'
import { stateDir } from '../../scripts/paths.ts'
import { findProgram } from '../../scripts/servers/path-search.ts'
import { findPromtool } from '../../scripts/servers/promtool.ts'
import { run } from '../../scripts/servers/run.ts'

/** Runs promtool and fails the test with its output on an error. */
export type Promtool = (...args: string[]) => Promise<unknown>

/** Finds or unpacks promtool; returns `null` if neither is possible. */
export async function openPromtool(): Promise<Promtool | null> {
  const { env } = process
  const canUnpack = ['apt-get', 'dpkg-deb'].every((tool) => findProgram([tool], env.PATH))
  if (!canUnpack && !findProgram(['promtool'], env.PATH)) return null
  const print = (line: string) => void process.stderr.write(`${line}\n`)
  const { command, env: own } = await findPromtool({ stateDir, env, print })
  return (...args) =>
    run(command, args, { env: { ...env, ...own } }).catch(
      ({ stdout = '', stderr = '' }: { stdout?: string; stderr?: string }) =>
        expect.fail(`${stdout}${stderr}`),
    )
}
