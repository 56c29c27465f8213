import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { root } from '../scripts/paths.ts'

const FACTS = 86

describe('docs/conformance.md', () => {
  it('lists every fact once, with a test whose title contains its number or a reason for its absence', async () => {
    const table = await readFile(join(root, 'docs/conformance.md'), 'utf8')
    const rows = [...table.matchAll(/^\| T(\d+) \| [^|]+ \| ([^|]+) \|$/gm)]
    expect(rows.map(([, number]) => Number(number))).to.deep.equal(
      Array.from({ length: FACTS }, (_, index) => index + 1),
    )
    for (const [row, number, where = ''] of rows) {
      if (where.startsWith('not of this API: ')) continue
      const files = [...where.matchAll(/`([^`]+)`/g)].map(([, file = '']) => file)
      expect(files, row).not.to.deep.equal([])
      for (const file of files) {
        const tests = await readFile(join(root, file), 'utf8')
        expect(tests, `${file} for T${number}`).to.match(
          new RegExp(`(it|describe)\\([^\\n]*\\bT${number}\\b`),
        )
      }
    }
  })
})
