import { expect } from 'chai'
import fc from 'fast-check'
import { createSeal, type SealedEntry, unsealed } from '../../shared/resources/seal.ts'
import { sessionKeys } from '../../shared/session-key.ts'

const SECRETS = [
  'first secret of the tests, long enough',
  'second secret of the tests, long enough',
]
const [first, second] = sessionKeys(SECRETS)
const entry: SealedEntry = {
  resource: 'user:access',
  params: { user_id: '7' },
  keyId: first?.id ?? '',
}

describe('seal', () => {
  const sealed = (of: SealedEntry, value: string) =>
    Buffer.from(createSeal(SECRETS).seal(of, value) ?? '')

  it('verifies its own text each time, also in another process, and returns the value', () => {
    const seal = createSeal(SECRETS)
    const body = sealed(entry, '{"is_active":true}')
    for (let n = 0; n < 3; n++) expect(seal.verifies(entry, Buffer.from(body))).to.equal(true)
    expect(unsealed(body)).to.equal('{"is_active":true}')
  })

  it('rejects each changed byte, also after the genuine text was verified', () => {
    const seal = createSeal(SECRETS)
    const body = sealed(entry, '{"is_active":true}')
    fc.assert(
      fc.property(
        fc.nat(body.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        (at, change, isKnown) => {
          const forged = Buffer.from(body)
          forged[at] = (forged[at] ?? 0) ^ change
          const one = isKnown ? seal : createSeal(SECRETS)
          if (isKnown) expect(one.verifies(entry, body)).to.equal(true)
          expect(one.verifies(entry, forged)).to.equal(false)
        },
      ),
      { seed: 1, numRuns: 200 },
    )
    for (const cut of [body.subarray(1), body.subarray(0, -1), Buffer.alloc(0)]) {
      expect(seal.verifies(entry, cut)).to.equal(false)
    }
  })

  it('rejects the text of another entry, resource or key, also if that one was verified', () => {
    const seal = createSeal(SECRETS)
    const body = sealed(entry, 'true')
    expect(seal.verifies(entry, body)).to.equal(true)
    for (const other of [
      { ...entry, params: { user_id: '8' } },
      { ...entry, resource: 'user:by_email' },
      { ...entry, keyId: second?.id ?? '' },
      { ...entry, keyId: 'unknown' },
    ]) {
      expect(seal.verifies(other, body)).to.equal(false)
    }
  })

  it('does not depend on the buffer of a verified text, which may change later', () => {
    const seal = createSeal(SECRETS)
    const body = sealed(entry, 'true')
    const received = Buffer.from(body)
    expect(seal.verifies(entry, received)).to.equal(true)
    received.fill('x')
    expect(seal.verifies(entry, received)).to.equal(false)
    expect(seal.verifies(entry, body)).to.equal(true)
  })
})
