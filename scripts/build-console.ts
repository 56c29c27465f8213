import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from './paths.ts'

const CONSOLE = join(root, 'invalidator/console')
const SOURCE = join(CONSOLE, 'page')
const BUILT = join(CONSOLE, 'dist')

/** Builds the page of the console into `invalidator/console/dist`. */
export async function buildConsole(): Promise<void> {
  const { build } = await import('vite')
  await build({
    configFile: false,
    root: SOURCE,
    base: './',
    logLevel: 'warn',
    build: {
      outDir: BUILT,
      emptyOutDir: true,
      // Data URLs and inline scripts would need exceptions in the content security policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      target: 'es2022',
    },
  })
}

/** Builds the page if there is none, or if a source is newer. */
export async function ensureConsole(): Promise<void> {
  const built = await stat(join(BUILT, 'index.html')).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  )
  // The page also contains modules of the folder above it.
  const names = (await readdir(CONSOLE, { recursive: true })).filter(
    (name) => !/^dist\b/.test(name) && name.includes('.'),
  )
  const times = await Promise.all(
    names.map(async (name) => (await stat(join(CONSOLE, name))).mtimeMs),
  )
  if (Math.max(...times) > built) await buildConsole()
}
