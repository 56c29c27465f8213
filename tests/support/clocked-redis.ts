import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { stateDir } from '../../scripts/paths.ts'
import { unpackProgram } from '../../scripts/servers/packaged-program.ts'
import { type PrivateRedis, startPrivateRedis } from './private-redis.ts'

/** A private Redis whose wall clock a test can step. */
export interface ClockedRedis extends PrivateRedis {
  /** Sets the offset of its clock from the machine's; negative for the past. */
  stepTo(offsetMs: number): Promise<void>
}

/**
 * Starts a Redis under libfaketime, which is unpacked from a package of the distribution.
 * @throws if the package is not available.
 */
export async function startClockedRedis(): Promise<ClockedRedis> {
  const library = await findLibrary()
  const folder = await mkdtemp(join(tmpdir(), 'spms-clock-'))
  const file = join(folder, 'clock')
  const stepTo = async (offsetMs: number) => {
    await writeFile(`${file}.new`, `${offsetMs < 0 ? '' : '+'}${offsetMs / 1000}\n`)
    await rename(`${file}.new`, file)
  }
  await stepTo(0)
  const redis = await startPrivateRedis(undefined, {
    // libc makes Redis use its allocator: jemalloc reads the clock before libfaketime is ready, and would hang.
    LD_PRELOAD: `${library} libc.so.6`,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  })
  return {
    ...redis,
    stepTo,
    async [Symbol.asyncDispose]() {
      await redis[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function findLibrary(): Promise<string> {
  const { command } = await unpackProgram({
    stateDir,
    name: 'faketime',
    packages: ['faketime', 'libfaketime'],
    isStatic: true,
    candidates: async (folder) => [join(folder, 'usr/bin/faketime')],
    env: process.env,
    print: (line) => void process.stderr.write(`${line}\n`),
  })
  const libraries = join(dirname(command), '../lib')
  const found = (await readdir(libraries, { recursive: true })).find((path) =>
    path.endsWith('/libfaketime.so.1'),
  )
  if (found === undefined) throw new Error(`no libfaketime in ${libraries}`)
  return join(libraries, found)
}
