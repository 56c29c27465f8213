import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { startTransactionPooler } from '../../support/transaction-pooler.ts'
import { crashBackend } from '../../support/crash-backend.ts'
import { until } from '../../support/until.ts'
import { connect, onPostgres } from '../stage/on-postgres.ts'
import type { Fault } from './fault.ts'

const LAG_MS = 400

/** Faults of Postgres and of the network to it. */
export const POSTGRES_FAULTS: readonly Fault[] = [
  {
    name: 'backends-terminated',
    takes: 'postgres',
    holdMs: 0,
    async inject({ stage }) {
      for (let time = 0; time < 6; time++) {
        await onServer(stage.postgres.url, (client) =>
          client.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where backend_type = 'client backend' and pid <> pg_backend_pid()`,
          ),
        )
        await sleep(250)
      }
      return async () => {}
    },
  },
  {
    name: 'postgres-restarted',
    takes: 'postgres',
    holdMs: 500,
    async inject({ stage: { postgres } }) {
      await postgres.stop()
      return () => postgres.start()
    },
  },
  {
    name: 'postgres-crashed',
    takes: 'postgres',
    holdMs: 200,
    async inject({ stage: { postgres }, allowances }) {
      const incarnation = allowances.begin('new incarnation')
      await postgres.crash()
      return async () => {
        await postgres.start()
        allowances.end(incarnation)
      }
    },
  },
  {
    name: 'backend-crashed',
    takes: 'postgres',
    holdMs: 0,
    async inject({ stage: { postgres }, allowances }) {
      const incarnation = allowances.begin('new incarnation')
      await crashBackend(postgres.url)
      return async () => {
        await until(() => isAnswering(postgres.url))
        allowances.end(incarnation)
      }
    },
  },
  {
    name: 'postgres-connection-of-invalidator-half-open',
    takes: 'nothing',
    holdMs: 7_000,
    async inject({ stage: { paths } }) {
      paths.invalidatorsToPostgres.swallow()
      return async () => {}
    },
  },
  {
    name: 'postgres-far-from-apis',
    takes: 'nothing',
    holdMs: 4_000,
    async inject({ stage: { paths } }) {
      paths.apisToPostgres.delayMs = 40
      return async () => void (paths.apisToPostgres.delayMs = 0)
    },
  },
  {
    name: 'old-snapshot-held',
    takes: 'nothing',
    holdMs: 4_000,
    async inject({ stage: { postgres } }) {
      const client = await connect(postgres.url)
      await client.query('begin isolation level repeatable read')
      await client.query('select pg_current_xact_id()')
      return async () => {
        await client.query('commit')
        await client.end()
      }
    },
  },
  {
    name: 'standby-promoted',
    takes: 'postgres',
    holdMs: 500,
    async inject({ stage, allowances }) {
      const { standby, replication } = await stage.addStandby()
      await standby.catchUp()
      const incarnation = allowances.begin('new incarnation')
      replication.lead(NOBODY)
      await sleep(LAG_MS)
      await stage.postgres.crash()
      await standby.promote()
      return async () => {
        stage.replacePostgres(standby)
        allowances.end(incarnation)
      }
    },
  },
  {
    name: 'old-primary-isolated',
    takes: 'postgres',
    holdMs: 4_000,
    startsServices: true,
    async inject({ stage, allowances }) {
      const { standby, replication } = await stage.addStandby()
      const old = stage.postgres
      const itsInvalidator = await stage.system.addInvalidator({
        DATABASE_URL: stage.urlFor('spms_invalidator', old.url),
      })
      await standby.catchUp()
      const incarnation = allowances.begin('new incarnation')
      replication.lead(NOBODY)
      await sleep(LAG_MS)
      await standby.promote()
      stage.replacePostgres(standby)
      allowances.end(incarnation)
      return async () => {
        await itsInvalidator.kill()
        await old.stop()
      }
    },
  },
  {
    name: 'database-restored',
    takes: 'postgres',
    holdMs: 500,
    async inject({ stage: { postgres }, allowances }) {
      await onServer(postgres.url, async (client) => {
        await withoutInvalidator(client, postgres.url, () =>
          client.query('create database backup template spms'),
        )
        const incarnation = allowances.begin('new incarnation')
        await sleep(2_000)
        await withoutInvalidator(client, postgres.url, async () => {
          await client.query('drop database spms')
          await client.query('alter database backup rename to spms')
          await client.query('alter database spms set invalidation.notify = on')
        })
        allowances.end(incarnation)
      })
      return async () => {}
    },
  },
  {
    name: 'pooled-by-transaction',
    takes: 'postgres',
    holdMs: 4_000,
    async inject({ stage: { postgres, paths, urlFor } }) {
      const poolers = await Promise.all(
        [postgres.url, urlFor('spms_api', postgres.url)].map(startTransactionPooler),
      )
      const both = [paths.writersToPostgres, paths.apisToPostgres]
      for (const [at, pooler] of poolers.entries()) both[at]?.lead(pooler.url)
      return async () => {
        for (const path of both) path.lead(postgres.url)
        for (const pooler of poolers) await pooler[Symbol.asyncDispose]()
      }
    },
  },
]

/** An address at which no server listens. */
export const NOBODY = 'tcp://127.0.0.1:1'

/** Works on a database that has no connections and no prepared transactions. */
export async function withoutInvalidator(
  server: Client,
  url: string,
  work: () => Promise<unknown>,
): Promise<void> {
  const last = await connect(url)
  await server.query('alter database spms allow_connections false')
  await last.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
     where datname = 'spms' and pid <> pg_backend_pid()`,
  )
  const { rows } = await last.query<{ gid: string }>('select gid from pg_prepared_xacts')
  for (const { gid } of rows) await last.query(`rollback prepared '${gid}'`)
  await last.end()
  await work()
  await server.query('alter database spms allow_connections true')
}

/** Works in database `postgres` of the same server, so that the given database may be dropped. */
export async function onServer<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const server = new URL(url)
  server.pathname = '/postgres'
  return onPostgres(server.href, work)
}

const isAnswering = (url: string) => onServer(url, async () => true).catch(() => false)
