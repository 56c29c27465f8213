import { errorCode } from '../../db/event-log/index.ts'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { copyData } from '../../scripts/copy-data.ts'
import { root, stateDir } from '../../scripts/paths.ts'

const SOURCES = ['api', 'invalidator', 'db', 'shared', 'scripts'] as const
const FOLDER = join(stateDir, 'compiled')

let compiling: Promise<string> | undefined

/**
 * Returns the absolute path of the compiled JavaScript of a module, such as `api/main.ts`.
 * Tests start hundreds of processes, and each would need 2 s of processor time to compile.
 * The first call compiles all sources.
 */
export async function compiled(module: string): Promise<string> {
  compiling ??= compile()
  return join(await compiling, module.replace(/\.ts$/, '.js'))
}

async function compile(): Promise<string> {
  const sources = await findSources()
  const folder = join(FOLDER, await versionOf(sources))
  if (await exists(folder)) return folder
  // Another job may compile the same sources. The rename makes the folder appear atomically.
  const draft = `${folder}-${process.pid}`
  for (const source of sources.filter((path) => path.endsWith('.ts'))) {
    const text = await readFile(join(root, source), 'utf8')
    const target = join(draft, source.replace(/\.ts$/, '.js'))
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, toJavaScript(text))
  }
  await copyData(draft)
  await removeOthers(folder, draft)
  await rename(draft, folder).catch(async (error: unknown) => {
    if (!(await exists(folder))) throw error
    await rm(draft, { recursive: true })
  })
  return folder
}

/** Returns paths relative to the root, sorted. */
async function findSources(): Promise<string[]> {
  const found: string[] = []
  for (const folder of SOURCES) {
    for (const name of await readdir(join(root, folder), { recursive: true })) {
      if (/\.(ts|sql|gz)$/.test(name)) found.push(join(folder, name))
    }
  }
  return found.toSorted()
}

async function versionOf(sources: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const source of sources) {
    const { mtimeMs, size } = await stat(join(root, source))
    hash.update(`${source} ${mtimeMs} ${size}\n`)
  }
  return hash.digest('hex').slice(0, 16)
}

const toJavaScript = (text: string): string =>
  ts.transpileModule(text, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
      inlineSourceMap: true,
    },
  }).outputText

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
