import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import * as fc from 'fast-check'
import { createConsistencyTokens } from '../../api/http/consistency-token.ts'
import { includes, parseSnapshot, type Snapshot } from '../../db/event-log/index.ts'
import { bareUuid } from '../../shared/cache/index.ts'

const [OLD_SECRET, SECRET] = ['o'.repeat(32), 's'.repeat(32)]
const LIFETIME_MS = 30_000
const incarnation = randomUUID()
let nowMs = 1_790_000_000_000
const open = (...secrets: string[]) =>
  createConsistencyTokens(secrets, { lifetimeMs: LIFETIME_MS, nowMs: () => nowMs })

const XIDS = 60
/** Any snapshot of a short history. Transaction xmax - 1 has ended, as in every real snapshot. */
const snapshots = fc
  .tuple(fc.integer({ min: 2, max: XIDS }), fc.uniqueArray(fc.integer({ min: 1, max: XIDS })))
  .map(([xmax, ids]) => {
    const xip = ids.filter((xid) => xid < xmax - 1).toSorted((a, b) => a - b)
    return parseSnapshot(`${xip[0] ?? xmax}:${xmax}:${xip.join(',')}`) as Snapshot
  })

/** The model of a snapshot: the set of transactions that it sees. */
const seenIn = ({ text }: Snapshot): ReadonlySet<number> => {
  const [, xmax, xip = ''] = text.split(':')
  const running = xip.split(',').map(Number)
  const all = Array.from({ length: XIDS }, (_, n) => n + 1)
  return new Set(all.filter((xid) => xid < Number(xmax) && !running.includes(xid)))
}
const isSubset = (small: ReadonlySet<number>, large: ReadonlySet<number>) =>
  [...small].every((xid) => large.has(xid))

describe('a consistency token', () => {
  const consistencyTokens = open(SECRET)
  const snapshot = parseSnapshot('738:900:738,899') as Snapshot
  const text = consistencyTokens.issue({ incarnation, snapshot })

  it('decodes to the issued snapshot, also with another list of secrets', () => {
    const expected = {
      incarnation: bareUuid(incarnation),
      snapshot: { xmax: 900n, xip: [738n, 899n] },
    }
    expect(consistencyTokens.read(text)).to.deep.equal(expected)
    expect(open('n'.repeat(32), SECRET).read(text)).to.deep.equal(expected)
  })

  it('is short and needs no escaping in a header or a cookie', () => {
    expect(text).to.match(/^[\w.-]+$/)
    expect(text.length).to.be.below(110)
    const xip = Array.from({ length: 500 }, (_, n) => String(10n ** 18n + BigInt(1_000 * n)))
    const busy = parseSnapshot(`${xip[0]}:${10n ** 18n + 600_000n}:${xip.join(',')}`)
    expect(consistencyTokens.issue({ incarnation, snapshot: busy as Snapshot }).length).to.be.below(
      250,
    )
  })

  it('requires the same as its snapshot, or more if the snapshot was truncated', () => {
    fc.assert(
      fc.property(snapshots, snapshots, (of, watermark) => {
        const consistencyToken = consistencyTokens.read(
          consistencyTokens.issue({ incarnation, snapshot: of }),
        )
        const isSatisfied =
          consistencyToken !== null && includes(watermark, consistencyToken.snapshot)
        const isPast = isSubset(seenIn(of), seenIn(watermark))
        if (of.xip.length <= 16) expect(isSatisfied).to.equal(isPast)
        else expect(!isSatisfied || isPast).to.equal(true)
      }),
      { seed: 1, numRuns: 5_000 },
    )
  })

  it('with a truncated snapshot is satisfied once the omitted transactions have ended', () => {
    const xip = Array.from({ length: 40 }, (_, n) => n + 1)
    const cut = consistencyTokens.read(
      consistencyTokens.issue({
        incarnation,
        snapshot: parseSnapshot(`1:50:${xip.join()}`) as Snapshot,
      }),
    )
    expect(cut?.snapshot.xip).to.deep.equal(xip.slice(0, 16).map(BigInt))
    const later = (running: readonly number[]) =>
      includes(parseSnapshot(`1:60:${running.join()}`) as Snapshot, cut?.snapshot ?? snapshot)
    expect(later(xip)).to.equal(false)
    expect(later(xip.slice(0, 16))).to.equal(true)
  })

  it('records that the incarnation could not be determined', () => {
    expect(consistencyTokens.read(consistencyTokens.issue(null))).to.include({ incarnation: null })
    expect(
      consistencyTokens.read(consistencyTokens.issue({ incarnation: null, snapshot })),
    ).to.include({
      incarnation: null,
    })
  })

  it('is rejected if any character was changed or the secret is unknown', () => {
    for (let at = 0; at < text.length - 1; at++) {
      for (const other of ['0', '1', 'A', '.', '_']) {
        if (text[at] === other) continue
        const changed = text.slice(0, at) + other + text.slice(at + 1)
        expect(consistencyTokens.read(changed), changed).to.equal(null)
      }
    }
    for (const junk of [
      '',
      'x',
      text.slice(0, -1),
      `${text}0`,
      `${text},${text}`,
      '1'.repeat(9_999),
    ]) {
      expect(consistencyTokens.read(junk)).to.equal(null)
    }
    expect(open(OLD_SECRET).read(text)).to.equal(null)
  })

  it('is rejected after it expires', () => {
    const issued = consistencyTokens.issue({ incarnation, snapshot })
    nowMs += LIFETIME_MS
    expect(consistencyTokens.read(issued)).to.not.equal(null)
    nowMs += 1
    expect(consistencyTokens.read(issued)).to.equal(null)
  })
})
