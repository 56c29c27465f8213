import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { root } from '../../scripts/paths.ts'
import { run, succeeds } from '../../scripts/servers/run.ts'
import type { Print } from '../../scripts/servers/print.ts'

const folder = join(root, 'bench/rivals')

const manifestSchema = z.object({ dependencies: z.record(z.string(), z.string()) })

/** Installs the compared packages into their own folder. Returns their versions. */
export async function installPackages(print: Print): Promise<ReadonlyMap<string, string>> {
  if (!(await succeeds('npm', ['ls', '--prefix', folder]))) {
    print(`installing the compared packages into ${folder}`)
    await run('npm', ['ci', '--prefix', folder, '--ignore-scripts'])
  }
  const manifest = await readFile(join(folder, 'package.json'), 'utf8')
  return new Map(Object.entries(manifestSchema.parse(JSON.parse(manifest)).dependencies))
}
