import { Client, escapeIdentifier } from 'pg'
import { install, type RulesDefinition } from '../../db/event-log/index.ts'
import { type InstallReport } from '../../db/event-log/installation/install.ts'
import { createEmptyDatabase } from '../support/database.ts'

/** The logged event of one statement, with names instead of ids. */
export interface Entry {
  readonly table: string
  readonly op: string
  /** The changed watched columns; `all` if the event covers all columns. */
  readonly changed: string
  readonly keys: readonly (readonly (string | null)[])[] | readonly string[] | null
}

/** A database of one test with an event log, and a connection for writing. */
export interface EventLog extends AsyncDisposable {
  readonly url: string
  /** A superuser's connection. */
  readonly client: Client
  connect(role?: string): Promise<Client>
  install(definition?: RulesDefinition): Promise<InstallReport>
  /** Returns and deletes the logged events, oldest first. */
  entries(): Promise<Entry[]>
  /** Runs a statement and returns what it logged, such as `bird U name [["1","7"]]`. */
  logged(sql: string, client?: Client): Promise<string[]>
}

/** Creates the tables and installs the triggers. */
export async function openEventLog(ddl: string, definition: RulesDefinition): Promise<EventLog> {
  const database = await createEmptyDatabase()
  const { url } = database
  const clients: Client[] = []

  async function connect(role?: string): Promise<Client> {
    const client = new Client({ connectionString: url, application_name: 'spms-test-writer' })
    // Connections that a test left open end with the database.
    client.on('error', () => {})
    await client.connect()
    clients.push(client)
    if (role) await client.query(`set session authorization ${escapeIdentifier(role)}`)
    return client
  }

  const client = await connect()
  const reader = await connect()
  await client.query(ddl)
  await install(url, definition)

  async function entries(): Promise<Entry[]> {
    const { rows } = await reader.query<Omit<Entry, 'changed'> & { mask: string; watch: string[] }>(
      `with gone as (delete from invalidation.event returning *)
       select coalesce(t.name, '-') as table, op, changed as mask, keys,
              coalesce((select array_agg(column_name order by place)
                        from invalidation.rules r, jsonb_array_elements(r.definition->'tables') d,
                             jsonb_array_elements_text(d->'watch') with ordinality w (column_name, place)
                        where r.version = gone.version and (d->>'id')::int = gone.table_id), '{}') as watch
       from gone left join invalidation.watched_table t on t.id = gone.table_id
       order by xid, at`,
    )
    return rows.map(({ table, op, mask, watch, keys }) => ({
      table,
      op,
      changed:
        mask === '-1'
          ? 'all'
          : watch.filter((_, bit) => (BigInt(mask) >> BigInt(bit)) & 1n).join(','),
      keys,
    }))
  }

  return {
    url,
    client,
    connect,
    install: (changed = definition) => install(url, changed),
    entries,
    async logged(sql, writer = client) {
      await entries()
      await writer.query(sql)
      return (await entries()).map(describe)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((one) => one.end().catch(() => undefined)))
      await database[Symbol.asyncDispose]()
    },
  }
}

/** Sorts the keys: their order within an event has no meaning. */
function describe({ table, op, changed, keys }: Entry): string {
  const sorted = keys && [...keys].map((key) => JSON.stringify(key)).toSorted()
  return `${table} ${op} ${changed}${sorted ? ` [${sorted.join()}]` : ''}`
}

/** Tables of birds, nests and leg bands, for every kind of statement. */
export const AVIARY = `
  create table nest (
    id    bigint primary key,
    place text
  );
  create table bird (
    id        bigint primary key,
    name      text,
    weight    numeric,
    notes     jsonb,
    nest_id   bigint references nest on delete cascade,
    last_seen timestamptz
  );
  create table ring (
    bird_id bigint references bird on delete cascade on update cascade,
    code    text,
    colour  text,
    primary key (bird_id, code)
  );
  insert into nest select id, 'oak' from generate_series(1, 5) id;
`

/** Watches every column of `bird` except `last_seen`. */
export const AVIARY_RULES: RulesDefinition = {
  tables: [
    { name: 'bird', watch: ['name', 'nest_id', 'notes', 'weight'], keys: ['id', 'nest_id'] },
    { name: 'nest', watch: ['place'], keys: ['id'] },
    { name: 'ring', watch: ['colour'], keys: ['bird_id'] },
  ],
}
