import { expect } from 'chai'
import fc from 'fast-check'
import { csvRecord } from '../../api/http/csv.ts'
import { plainText } from '../../api/plain-text.ts'
import { parseCsv } from '../support/parse-csv.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ unit: fc.constantFrom(...'=+-@;,"\' \t\r\n\u00a0＝＋a1'), maxLength: 12 }),
)

describe('csvRecord', () => {
  it('quotes separators and quotes, and leaves null empty', () => {
    expect(csvRecord([1, 'a,b', 'a "b"', null, -2, 'c;d'])).to.equal(
      '1,"a,b","a ""b""",,-2,"c;d"\r\n',
    )
  })

  it('marks formulas as text', () => {
    for (const formula of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '＝1', '"=1']) {
      const [[cell = ''] = []] = parseCsv(csvRecord([formula]))
      expect(cell, formula).to.match(/^'/)
    }
    expect(csvRecord(['a;=cmd|x'])).to.equal('"a;\'=cmd|x"\r\n')
    expect(csvRecord(['a-b =1', 'x@y'])).to.equal('a-b =1,x@y\r\n')
  })

  it('writes one line of which no text is a formula, for any texts', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 5 }), (cells) => {
        const record = csvRecord(cells)
        expect(record).to.match(/^[^\r\n\t]*\r\n$/)
        const [row = [], ...others] = parseCsv(record)
        expect(others).to.deep.equal([])
        expect(row).to.have.length(cells.length)
        for (const [i, cell] of row.entries()) {
          // Programs whose separator is a semicolon see a cell after each.
          for (const part of cell.split(';')) expect(part).not.to.match(/^["\s]*[=+\-@＝＋－＠]/u)
          const words = (value: string) => value.replaceAll(/[\s']+/gu, '')
          expect(words(cell)).to.equal(words(cells[i] ?? ''))
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('plainText', () => {
  it('returns the text of HTML', () => {
    for (const [html, expected] of [
      ['<p>Two <b>words</b></p><p>More</p>', 'Two words More'],
      ['a &lt;b&gt; &amp;amp; &#39;c&#x27; &quot;&nbsp;d', `a <b> &amp; 'c' " d`],
      ['&unknown; &#1114112; &#xd800;', '&unknown; &#1114112; &#xd800;'],
      ['1 < 2', '1 < 2'],
      ['', ''],
    ] as const) {
      expect(plainText(html), html).to.equal(expected)
    }
  })
})
