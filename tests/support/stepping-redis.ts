import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stateDir } from '../../scripts/paths.ts'
import { unpackProgram } from '../../scripts/servers/packaged-program.ts'
import { findFreePort } from '../../scripts/servers/port.ts'
import { startRedisProcess } from './redis-process.ts'

/** A Redis whose wall clock a test can set. */
export interface SteppingRedis extends AsyncDisposable {
  readonly url: string
  /** Sets the offset of its clock from the machine's. */
  setClock(differenceMs: number): Promise<void>
}

/** Starts a Redis under libfaketime. Returns `undefined` if no package of it is available. */
export async function startSteppingRedis(): Promise<SteppingRedis | undefined> {
  const library = await findLibrary().catch(() => undefined)
  if (library === undefined) return undefined
  const dir = await mkdtemp(join(tmpdir(), 'spms-clock-'))
  const file = join(dir, 'clock')
  const setClock = (differenceMs: number) =>
    writeFile(file, `${differenceMs < 0 ? '-' : '+'}${Math.abs(differenceMs) / 1000}\n`)
  await setClock(0)
  const port = await findFreePort()
  const server = await startRedisProcess(port, [], [], {
    // libc makes Redis use its allocator: jemalloc reads the clock before libfaketime is ready.
    LD_PRELOAD: `${library} libc.so.6`,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  })
  return {
    url: `redis://127.0.0.1:${port}`,
    setClock,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function findLibrary(): Promise<string | undefined> {
  const { command } = await unpackProgram({
    stateDir,
    name: 'faketime',
    packages: ['faketime', 'libfaketime'],
    candidates: (folder) => Promise.resolve([join(folder, 'usr/bin/faketime')]),
    env: process.env,
    print: (line) => void process.stderr.write(`${line}\n`),
  })
  const libraries = join(command, '../../lib')
  const found = await readdir(libraries, { recursive: true })
  const name = found.find((path) => path.endsWith('/libfaketime.so.1'))
  return name && join(libraries, name)
}
