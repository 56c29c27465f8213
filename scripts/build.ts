import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { buildConsole } from './build-console.ts'
import { copyData } from './copy-data.ts'
import { root } from './paths.ts'
import { run } from './servers/run.ts'

const dist = join(root, 'dist')
await rm(dist, { recursive: true, force: true })
await run(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
  {
    cwd: root,
  },
).catch((error: { readonly stdout?: string }) => {
  console.error(error.stdout ?? error)
  process.exit(1)
})
await buildConsole()
await copyData(dist)
console.log('built dist/')
