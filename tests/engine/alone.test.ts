import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { root } from '../../scripts/paths.ts'

/** The engine without the process of this application, and the example. */
const COPIED = ['db/event-log', 'shared/cache', 'invalidator', 'tests/engine']
const PROCESS = ['invalidator/main.ts', 'invalidator/config.ts']
/** The page of the console is a project of its own, with libraries for browsers. */
const PAGE = ['invalidator/console/page', 'invalidator/console/dist']
const TESTS = ['tests/engine/alone.test.ts', 'tests/engine/engine.test.ts']

/** The packages that the engine needs, and types. */
const PACKAGES = ['cockatiel', 'ioredis', 'kysely', 'pg', 'pg-listen', 'prom-client', 'winston']
const TYPES = ['@types/node', '@types/pg', '@types/mocha']

describe('the engine in a folder of its own', function () {
  this.timeout(180_000)
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'engine-'))
    const skipped = new Set([...PROCESS, ...PAGE, ...TESTS].map((path) => join(root, path)))
    for (const path of COPIED) {
      await cp(join(root, path), join(folder, path), {
        recursive: true,
        filter: (source) => !skipped.has(source),
      })
    }
    for (const name of [...PACKAGES, ...TYPES]) {
      const target = join(folder, 'node_modules', name)
      await mkdir(dirname(target), { recursive: true })
      await symlink(join(root, 'node_modules', name), target)
    }
    const { compilerOptions } = JSON.parse(
      await readFile(join(root, 'tsconfig.json'), 'utf8'),
    ) as Record<string, unknown>
    const config = { compilerOptions, include: COPIED }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
    await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('compiles with the example, and reads no other file', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '--project', folder, '--listFiles'],
      { cwd: folder, maxBuffer: 2 ** 24 },
    ).catch((error: { readonly stdout: string }) => expect.fail(error.stdout))
    const sources = stdout.split('\n').filter((file) => file && !file.includes('/node_modules/'))
    const outside = sources.filter((file) => !file.startsWith(`${folder}/`))
    expect(outside).to.deep.equal([])
    expect(sources).to.include.members(
      [...COPIED.slice(0, 3).map((path) => `${path}/index.ts`), 'tests/engine/library.ts'].map(
        (path) => join(folder, path),
      ),
    )
  })
})
