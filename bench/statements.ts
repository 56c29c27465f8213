import { Client } from 'pg'
import type { Part } from './bench.ts'
import { cpuBetween, readCpu } from './cpu.ts'
import { type Figure, shown, shownRange } from './figure.ts'
import { runStatement } from './statement.ts'
import { WAYS, type Way } from './statements/ways.ts'
import { median } from './statistics.ts'
import { table } from './table.ts'

/** The cost of one statement in microseconds; `cpuUs` is that of the backend. */
interface Cost {
  readonly us: number
  readonly cpuUs: number
}

interface Round {
  readonly bare: Cost
  readonly watched: Cost
}

const TITLE = 'bench statements'

/** Measures the cost of the triggers for many statements of one row in one transaction. */
export const statements: Part = async ({ servers, quick, print }) => {
  const count = quick ? 2_000 : 10_000
  const databases = [servers.bareUrl, servers.databaseUrl]
  for (const url of databases) {
    await runStatement(
      url,
      `insert into users_employmententry (public_profile_id, position_title, start_year)
       select 1, '${TITLE}', 2000 from generate_series(1, ${count})`,
    )
  }

  async function measure(way: Way, url: string, round: number): Promise<Cost> {
    const client = new Client({ connectionString: url, pipeline: true })
    await client.connect()
    try {
      const { rows } = await client.query<{ pid: number; id: number }>(
        `select pg_backend_pid() as pid, min(id)::integer as id
         from users_employmententry where position_title like '${TITLE}%'`,
      )
      const { pid = 0, id: firstId = 0 } = rows[0] ?? {}
      // The first statement of a session also reads the catalog and compiles the trigger function.
      await way.change(client, { firstId, count: 10, text: TITLE })
      const before = await readCpu(pid)
      const startedMs = performance.now()
      await way.change(client, { firstId, count, text: `${TITLE} ${round}` })
      const ms = performance.now() - startedMs
      const after = await readCpu(pid)
      return {
        us: (1000 * ms) / count,
        // The processor time of a server on another host is unknown.
        cpuUs: before && after ? (1000 * cpuBetween(before, after).ranMs) / count : Number.NaN,
      }
    } finally {
      await client.end()
      await runStatement(url, 'vacuum users_employmententry')
    }
  }

  const found = new Map(WAYS.map((way): [Way, Round[]] => [way, []]))
  for (let round = 0; round < (quick ? 3 : 7); round++) {
    print(`statements: round ${round + 1}`)
    for (const [way, rounds] of found) {
      // The first of two runs finds a cooler machine, so the order alternates.
      const first = round % 2 === 0 ? await measure(way, servers.bareUrl, round) : undefined
      const watched = await measure(way, servers.databaseUrl, round)
      rounds.push({ bare: first ?? (await measure(way, servers.bareUrl, round)), watched })
    }
  }
  for (const url of databases) {
    await runStatement(
      url,
      `delete from users_employmententry where position_title like '${TITLE}%'`,
    )
  }

  const ratios = (rounds: readonly Round[], of: keyof Cost) =>
    rounds.map(({ bare, watched }) => watched[of] / bare[of])
  const middle = (rounds: readonly Round[], of: (round: Round) => number) =>
    shown(median(rounds.map(of)))
  print(
    table(
      [
        `${count.toLocaleString('en')} updates of one row, us each`,
        ...['without', 'with triggers', 'ratio', 'of rounds'],
        ...['CPU without', 'with triggers', 'ratio'],
      ],
      [...found].map(([{ name }, rounds]) => [
        name,
        middle(rounds, ({ bare }) => bare.us),
        middle(rounds, ({ watched }) => watched.us),
        shown(median(ratios(rounds, 'us'))),
        shownRange(ratios(rounds, 'us')),
        middle(rounds, ({ bare }) => bare.cpuUs),
        middle(rounds, ({ watched }) => watched.cpuUs),
        shown(median(ratios(rounds, 'cpuUs'))),
      ]),
    ),
  )
  return [...found].map(([{ name }, rounds]): Figure => ({
    what: `updates of one row ${name}, against no trigger`,
    value: median(ratios(rounds, 'us')),
    unit: '',
    budget: null,
  }))
}
