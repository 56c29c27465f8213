import { chmod, cp, mkdir, mkdtemp, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { findServerUser } from '../scripts/servers/os-user.ts'
import { findProgram } from '../scripts/servers/path-search.ts'
import { removeExternalFolder } from '../scripts/servers/server-folder.ts'
import { startPostgres } from '../scripts/servers/postgres.ts'
import { findPostgresBinaries, makeRunnable } from '../scripts/servers/postgres-binaries.ts'
import { startRedis } from '../scripts/servers/redis.ts'
import { run } from '../scripts/servers/run.ts'

describe('servers', function () {
  this.timeout(60_000)

  let folder: string
  let printed: string[]
  const print = (line: string) => void printed.push(line)

  beforeEach(async () => {
    printed = []
    folder = await mkdtemp(join(tmpdir(), 'spms-servers-'))
  })

  afterEach(async () => {
    await removeExternalFolder(join(folder, '.spms'))
    await rm(folder, { recursive: true, force: true })
  })

  it('stores data outside the state folder if the server user cannot enter it', async function () {
    if (process.getuid?.() !== 0) this.skip()
    await chmod(folder, 0o700)
    const stateDir = join(folder, '.spms')
    await mkdir(stateDir)
    for (let time = 1; time <= 2; time++) {
      const postgres = await startPostgres({ stateDir, name: 'postgres', durable: false, print })
      expect(postgres.dataDir).to.match(/^\/var\/lib\/spms-/)
      await postgres.stop()
    }
    expect(printed).to.have.length(1)
    expect(printed[0]).to.include('store their files in /var/lib/spms-')
  })

  it('creates the library links that npm ci --ignore-scripts omits', async () => {
    const user = await findServerUser()
    await chmod(folder, 0o755)
    const whole = await findPostgresBinaries(folder, user, print)
    const broken = join(folder, 'package')
    await cp(join(whole.postgres, '../../..'), broken, { recursive: true, verbatimSymlinks: true })
    await unlink(join(broken, 'native/lib/libicuuc.so.60'))
    expect(await versionOf(join(broken, 'native/bin/postgres'))).to.equal(undefined)

    const { postgres, initdb } = await makeRunnable(broken, folder, user, print)
    expect(postgres).to.equal(join(broken, 'native/bin/postgres'))
    expect(await versionOf(postgres)).to.match(/^postgres \(PostgreSQL\)/)
    expect(await versionOf(initdb)).to.match(/^initdb \(PostgreSQL\)/)
    expect(printed).to.deep.equal([])
  })

  it('unpacks the distribution’s Redis once if none is on PATH', async function () {
    const tools = ['apt-get', 'dpkg-deb']
    if (!tools.every((tool) => findProgram([tool], process.env.PATH))) this.skip()
    const stateDir = join(folder, '.spms')
    const env = { PATH: '' }
    for (let time = 1; time <= 2; time++) {
      const redis = await startRedis({ stateDir, env, print })
      const client = new Redis(redis.url)
      expect(await client.config('GET', 'maxmemory-policy')).to.include('volatile-lru')
      client.disconnect()
      await redis.stop()
    }
    expect(printed).to.have.length(1)
    expect(printed[0]).to.include('not installed')
  })
})

const versionOf = (program: string) => run(program, ['--version']).catch((): undefined => undefined)
