import { expect } from 'chai'
import fc from 'fast-check'
import { Client } from 'pg'
import { includes, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'

describe('snapshot', () => {
  it('parses the text that Postgres prints and rejects any other', () => {
    expect(parseSnapshot('10:20:11,13')).to.eql({
      xmin: 10n,
      xmax: 20n,
      xip: [11n, 13n],
      text: '10:20:11,13',
    })
    expect(parseSnapshot('7:7:')).to.eql({ xmin: 7n, xmax: 7n, xip: [], text: '7:7:' })
    expect(parseSnapshot('9007199254740993:9007199254740994:')?.xmin).to.equal(9007199254740993n)
    for (const text of [
      '',
      '7:7',
      ':7:',
      '7:7:,',
      '7:7:1,',
      '-7:7:',
      ' 7:7:',
      '7:7: ',
      'x',
      '7:7:1;2',
    ]) {
      expect(parseSnapshot(text), text).to.equal(null)
    }
  })

  describe('includes()', () => {
    let client: Client

    before(async () => {
      client = new Client({ connectionString: process.env.TEST_DATABASE_URL })
      await client.connect()
    })
    after(() => client.end())

    it('agrees with pg_visible_in_snapshot', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(snapshot, snapshot), { minLength: 50 }),
          async (pairs) => {
            const { rows } = await client.query<{ covered: boolean }>(
              `select not exists (
               select from generate_series(1, 40) x
               where pg_visible_in_snapshot(x::text::xid8, earlier)
                 and not pg_visible_in_snapshot(x::text::xid8, later)) as covered
             from unnest($1::pg_snapshot[], $2::pg_snapshot[]) with ordinality as t (later, earlier, n)
             order by n`,
              [pairs.map(([later]) => later.text), pairs.map(([, earlier]) => earlier.text)],
            )
            expect(pairs.map(([later, earlier]) => includes(later, earlier))).to.eql(
              rows.map(({ covered }) => covered),
            )
          },
        ),
        { seed: 1, numRuns: 100 },
      )
    })
  })
})

/** Valid snapshots: `xmax` is one more than the last finished transaction. */
const snapshot: fc.Arbitrary<Snapshot> = fc
  .record({
    xmax: fc.integer({ min: 3, max: 36 }),
    running: fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
  })
  .map(({ xmax, running }) => {
    const xip = Array.from({ length: xmax - 2 }, (_, i) => i + 1).filter((xid) => running[xid])
    return parseSnapshot(`${xip[0] ?? xmax}:${xmax}:${xip.join()}`) as Snapshot
  })
