import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Client } from 'pg'
import { generate } from 'selfsigned'
import { findMoment, inTransaction } from '../db/event-log/index.ts'
import { openDatabase } from '../db/database.ts'
import { withRedis } from '../scripts/verbs/with-redis.ts'
import { type PrivatePostgres, startPrivatePostgres } from './support/private-postgres.ts'
import { startPrivateTlsRedis } from './support/private-tls-redis.ts'
import { until } from './support/until.ts'

describe('TLS with a private certificate authority', function () {
  this.timeout(120_000)

  describe('to Postgres', () => {
    let postgres: PrivatePostgres
    let dir: string
    let authority: string

    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'spms-tls-'))
      authority = join(dir, 'cert.pem')
      const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
        keySize: 2048,
        extensions: [
          { name: 'basicConstraints', cA: true },
          { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
        ],
      })
      await writeFile(authority, cert)
      postgres = await startPrivatePostgres({ seeded: false })
      const client = new Client({ connectionString: postgres.url })
      await client.connect()
      // The server writes both files, because it must own its key.
      for (const [file, text] of [
        ['server.crt', cert],
        ['server.key', key],
      ] as const) {
        await client.query(
          `copy (select ${client.escapeLiteral(text.trim())}) to program 'umask 077; printf %b "$(cat)" > ${file}'`,
        )
      }
      await client.query('alter system set ssl = on')
      await client.query('select pg_reload_conf()')
      await until(async () => {
        const { rows } = await client.query<{ ssl: string }>('show ssl')
        return rows[0]?.ssl === 'on'
      })
      await client.end()
    })
    after(async () => {
      await postgres[Symbol.asyncDispose]()
      await rm(dir, { recursive: true, force: true })
    })

    const at = (host: string, parameters: string) => {
      const url = new URL(postgres.url)
      url.hostname = host
      url.search = parameters
      return url.href
    }
    const encrypted = (url: string) =>
      inTransaction(url, { applicationName: 'spms-test-tls' }, async (client) => {
        const { rows } = await client.query<{ ssl: boolean }>(
          'select ssl from pg_stat_ssl where pid = pg_backend_pid()',
        )
        return rows[0]?.ssl
      })
    const failure = (work: Promise<unknown>) =>
      work.then(
        () => expect.fail('the connection succeeded'),
        (error: unknown) => String(error),
      )

    for (const mode of ['require', 'verify-full']) {
      it(`names the missing setting with sslmode=${mode}`, async () => {
        const url = at('localhost', `sslmode=${mode}`)
        const missing = /sslrootcert=\.\.\. in DATABASE_URL, or NODE_EXTRA_CA_CERTS/
        expect(await failure(encrypted(url))).to.match(missing)
        const db = openDatabase({ url, poolSize: 1, applicationName: 'spms-test-tls' })
        expect(await failure(findMoment(db))).to.match(missing)
        await db.destroy()
      })
    }

    it('connects with sslrootcert, and without verification only with sslmode=no-verify', async () => {
      expect(await encrypted(at('localhost', `sslmode=verify-full&sslrootcert=${authority}`))).to.be
        .true
      expect(await encrypted(at('localhost', `sslrootcert=${authority}`))).to.be.true
      expect(await encrypted(at('127.0.0.1', `sslmode=verify-ca&sslrootcert=${authority}`))).to.be
        .true
      expect(await encrypted(at('localhost', 'sslmode=no-verify'))).to.be.true
      expect(await encrypted(at('localhost', ''))).to.be.false
    })

    it('names the remedy if the host does not match the certificate', async () => {
      const url = at('127.0.0.1', `sslmode=verify-full&sslrootcert=${authority}`)
      expect(await failure(encrypted(url))).to.contain('as the certificate names it')
    })
  })

  it('names the missing setting for Redis', async () => {
    await using redis = await startPrivateTlsRedis()
    const error = await withRedis(redis.url, 'test', async () => undefined).catch(String)
    expect(error).to.contain('NODE_EXTRA_CA_CERTS')
  })
})
