import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { access, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Client } from 'pg'
import { findFreePort } from '../scripts/servers/port.ts'
import { readState } from '../scripts/servers/state.ts'
import { type Checkout, copyCheckout } from './support/checkout.ts'
import { logIn } from './support/log-in.ts'
import { until } from './support/until.ts'
import { itLong } from './support/long.ts'
import { isAlive, type NpmStart, npmStart, plainEnv } from './support/npm-start.ts'

const READY = 'Ctrl-C stops everything'
const GONE_MS = 15_000
const SECOND_START_MS = 20_000

describe('npm start', function () {
  this.timeout(180_000)

  let checkout: Checkout
  let port: string
  let running: NpmStart

  before(async function () {
    if (process.platform !== 'linux') this.skip()
    checkout = await copyCheckout()
    port = `${await findFreePort()}`
    running = npmStart(checkout.dir, { PORT: port })
    await running.untilPrinted(READY)
  })

  after(async () => {
    if (!checkout) return
    running.interrupt()
    await running.ended
    await checkout[Symbol.asyncDispose]()
  })

  it('prints the address of the console first, which serves its page and reports no finding that is wrong', async () => {
    const [, first = '', address = ''] =
      /SPMS is running\.\n\n {2}(\S+) +(\S+)/.exec(running.output()) ?? []
    expect(first).to.equal('Console')
    const page = await fetch(address)
    expect(page.status).to.equal(200)
    expect(page.headers.get('content-type')).to.contain('text/html')
    await until(async () => {
      const response = await fetch(`${address}console/overview`)
      return (await response.text()).includes('"headline":{"kind":"right"')
    })
  })

  it('prints three commands that show a miss and a hit, a change, and the new value', async () => {
    const [look = '', change = '', lookAgain = ''] = printedCommands()
    expect(lines(await shell(look))).to.satisfy(missThenHit)
    expect(await shell(change)).to.equal('UPDATE 1\n')
    const seen = await shell(lookAgain)
    expect(lines(seen)).to.satisfy(missThenHit)
    expect(seen.match(/changed by SQL/g)).to.have.length(2)
  })

  it('shows a change by SQL less than 50 ms after its commit', async () => {
    const url = /http\S+\/overview/.exec(running.output())?.[0] ?? ''
    const id = /staffprofiles\/(\d+)/.exec(url)?.[1]
    const read = () => fetch(url).then((response) => response.text())
    await using sql = await connect((await runningState()).databaseUrl)
    const tookMs: number[] = []
    for (let round = 1; round <= 9; round++) {
      await read()
      await read()
      const value = `round ${round} of ${Date.now()}`
      const update = 'update users_publicstaffprofile set expertise = $1 where id = $2'
      await sql.client.query(update, [value, id])
      const committed = performance.now()
      while (!(await read()).includes(value)) await sleep(1)
      tookMs.push(performance.now() - committed)
    }
    // Other tests share the CPU and delay most rounds, so the fastest round counts.
    expect(Math.min(...tookMs), tookMs.join()).to.be.below(50)
  })

  it('serves the pictures that it has drawn', async () => {
    await using sql = await connect((await runningState()).databaseUrl)
    const { rows } = await sql.client.query<{ file: string; size: number }>(`
      select file, size from medias_useravatar
      where file is not null and user_id in (
        select user_id from users_publicstaffprofile join users_user u on u.id = user_id
        where not is_hidden and u.is_active)
      order by id limit 3`)
    expect(rows).to.have.length(3)
    for (const { file, size } of rows) {
      const response = await fetch(`http://127.0.0.1:${port}/files/${file}`)
      expect(response.status, file).to.equal(200)
      expect((await response.arrayBuffer()).byteLength).to.equal(size)
    }
  })

  it('prints log-ins that the API accepts, of a superuser and of another user', async () => {
    const printed = [...running.output().matchAll(/ (\S+@\S+) with password (\S+),/g)]
    const areSuperusers: unknown[] = []
    for (const [, username = '', password = ''] of printed) {
      const headers = await logIn(`http://127.0.0.1:${port}`, username, password)
      const me = await fetch(`http://127.0.0.1:${port}/api/v1/users/me`, { headers })
      areSuperusers.push(((await me.json()) as Record<string, unknown>)['is_superuser'])
    }
    expect(areSuperusers).to.deep.equal([true, false])
  })

  it('lets the other commands find its servers', async () => {
    expect(await shell('npm run --silent spms -- sql "select 1 as one, null as two"')).to.equal(
      ' one | two\n-----+-----\n 1   |\n(1 row)\n',
    )
    expect(await shell('npm run --silent spms -- status')).to.include('***')
  })

  it('refuses to run twice in one folder', async () => {
    const second = npmStart(checkout.dir, { PORT: `${await findFreePort()}` })
    expect(await second.ended).to.equal(1)
    expect(second.output()).to.include('is already running in this folder')
  })

  it('stops everything on Ctrl-C, the services before their servers', async () => {
    const pids = await running.processes()
    expect(pids.length).to.be.above(5)
    running.interrupt()
    expect(await running.ended).to.equal(0)
    expect(await survivors(pids)).to.deep.equal([])
    expect(running.output()).not.to.include('ECONNREFUSED')
  })

  itLong('starts again in seconds, and leaves no process when it is killed', async () => {
    const began = Date.now()
    running = npmStart(checkout.dir, { PORT: port })
    await running.untilPrinted(READY)
    expect(Date.now() - began).to.be.below(SECOND_START_MS)
    expect(running.output()).not.to.include('seeded')

    const pids = await running.processes()
    process.kill((await runningState()).starterPid, 'SIGKILL')
    await running.ended
    expect(await survivors(pids)).to.deep.equal([])
  })

  itLong(
    'starts after it was killed, and npm run clean stops it and removes its files',
    async () => {
      running = npmStart(checkout.dir, { PORT: port })
      await running.untilPrinted(READY)
      const pids = await running.processes()
      await shell('npm run --silent clean')
      await running.ended
      expect(await survivors(pids)).to.deep.equal([])
      expect(await exists(join(checkout.dir, '.spms'))).to.equal(false)
    },
  )

  it('reports that its port is taken before it starts anything', async () => {
    await rm(join(checkout.dir, '.spms'), { recursive: true, force: true })
    const taken = createServer().listen(Number(port), '127.0.0.1')
    await once(taken, 'listening')
    running = npmStart(checkout.dir, { PORT: port })
    expect(await running.ended).to.equal(1)
    taken.close()
    expect(running.output()).to.include(`port ${port} is taken`)
    expect(await exists(join(checkout.dir, '.spms'))).to.equal(false)
  })

  itLong(
    'names the command that the database of DATABASE_URL needs, and masks passwords',
    async () => {
      const { TEST_DATABASE_URL = '', TEST_REDIS_URL } = process.env
      await using server = await connect(TEST_DATABASE_URL)
      const name = `start_test_${process.pid}`
      await server.client.query(`create database ${name}`)
      const url = Object.assign(new URL(TEST_DATABASE_URL), { pathname: name }).href
      const configured = { DATABASE_URL: url, REDIS_URL: TEST_REDIS_URL, PORT: port }
      try {
        const empty = npmStart(checkout.dir, configured)
        expect(await empty.ended).to.equal(1)
        expect(empty.output()).to.include('npm run spms -- migrate')
        expect(empty.output()).to.include(':***@')

        await shell('npm run --silent spms -- migrate', configured)
        const unwatched = npmStart(checkout.dir, configured)
        expect(await unwatched.ended).to.equal(1)
        expect(unwatched.output()).to.include('npm run spms -- install')

        await shell('npm run --silent spms -- install', configured)
        running = npmStart(checkout.dir, { ...configured, SESSION_SECRETS: 's'.repeat(32) })
        await running.untilPrinted('SPMS is running')
        expect(running.output()).not.to.include(new URL(url).password)
        running.interrupt()
        expect(await running.ended).to.equal(0)
        expect(await exists(join(checkout.dir, '.spms'))).to.equal(false)
      } finally {
        await server.client.query(`drop database ${name} with (force)`)
      }
    },
  )

  it('requires REDIS_URL with DATABASE_URL', async () => {
    running = npmStart(checkout.dir, { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' })
    expect(await running.ended).to.equal(1)
    expect(running.output()).to.include('REDIS_URL')
  })

  const printedCommands = () =>
    running
      .output()
      .split('\n')
      .filter((line) => /^ {2}(curl|npm) /.test(line))

  async function runningState() {
    const state = await readState(join(checkout.dir, '.spms'))
    if (!state?.running) throw new Error('npm start is not running')
    return state
  }

  /** Runs a shell command in the checkout and returns its output. Rejects if it fails. */
  function shell(command: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { cwd: checkout.dir, env: { ...plainEnv(), ...env } }
      execFile('/bin/sh', ['-c', command], options, (error, stdout, stderr) => {
        if (error) reject(new Error(`${command}: ${stdout}${stderr}`, { cause: error }))
        else resolve(stdout)
      })
    })
  }
})

const lines = (text: string) => text.split('\n').filter((line) => /^cache-status/i.test(line))

const missThenHit = ([first = '', second = '', ...more]: string[]) =>
  more.length === 0 && first.includes('fwd=miss') && second.includes('spms; hit')

/** Returns the processes that are still alive after the time in which all should have ended. */
async function survivors(pids: readonly number[]): Promise<number[]> {
  const until = Date.now() + GONE_MS
  for (;;) {
    const alive = await Promise.all(pids.map(isAlive))
    const left = pids.filter((_, at) => alive[at])
    if (left.length === 0 || Date.now() > until) return left
    await sleep(50)
  }
}

async function connect(url: string | undefined) {
  const client = new Client({ connectionString: url })
  // The server may stop before the client.
  client.on('error', () => {})
  await client.connect()
  return { client, [Symbol.asyncDispose]: () => client.end() }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
