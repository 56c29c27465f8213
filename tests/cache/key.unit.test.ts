import { expect } from 'chai'
import fc from 'fast-check'
import {
  defineResource,
  entryKey,
  keyMatcher,
  keyOfRow,
  keyParser,
} from '../../shared/cache/index.ts'

const PREFIX = 'test'
const book = { key: 'book:{shelf}:{code}', version: 1 }
/** Texts of the characters that have a meaning in keys, patterns and encodings. */
const text = fc.string({ unit: fc.constantFrom(...':%/{}*?[\\^a3A25\n') })

describe('the key of an entry', () => {
  it('contains plain values as they are', () => {
    expect(entryKey(PREFIX, book, { shelf: '7', code: 'a-b@c' })).to.equal('test/v1/book:7:a-b@c')
  })

  it('has the form of its pattern and returns its values, also with a colon in them', () => {
    const matches = keyMatcher(PREFIX, book)
    const parse = keyParser(PREFIX, book)
    fc.assert(
      fc.property(text, text, (shelf, code) => {
        const key = entryKey(PREFIX, book, { shelf, code })
        expect(key).to.match(matches)
        expect(parse(key)).to.deep.equal({ shelf, code })
      }),
    )
  })

  it('is the same for readers, from parameters, and for the invalidator, from rows', () => {
    const ofRow = keyOfRow(PREFIX, book, { shelf: 2, code: 0 })
    fc.assert(
      fc.property(text, text, (shelf, code) => {
        expect(ofRow([code, 'other', shelf])).to.equal(entryKey(PREFIX, book, { shelf, code }))
      }),
    )
    const single = { key: 'books', version: 3 }
    expect(keyOfRow(PREFIX, single, {})(['x'])).to.equal(entryKey(PREFIX, single, {}))
    expect(ofRow(['a', 'b', null])).to.equal(null)
  })
})

describe('a resource', () => {
  const define = (key: string, rule: Readonly<Record<string, string>> = {}) =>
    defineResource({
      name: 'book',
      version: 1,
      key,
      staleWhen: [{ table: 'book', watch: ['title'], key: rule }],
    })

  it('is rejected if a part of its key mixes words and parameters', () => {
    for (const key of [
      'book:{shelf}-{code}',
      'book:x{shelf}',
      'book:{shelf}:{shelf}',
      'book::',
      '',
    ])
      expect(() => define(key), key).to.throw('is not a list of words and different parameters')
  })

  it('is rejected if a rule does not name every parameter of its key', () => {
    expect(() => define('book:{shelf}:{code}', { shelf: 'shelf' })).to.throw(
      'a rule on book does not name every parameter',
    )
  })
})
