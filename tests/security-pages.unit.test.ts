import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { root } from '../scripts/paths.ts'

/** The number of requirements of levels 1 and 2 in each section of ASVS 5.0.0. */
const REQUIREMENTS = `
  V1.1 2, V1.2 9, V1.3 11, V1.4 3, V1.5 2, V2.1 3, V2.2 3, V2.3 4, V2.4 1, V3.2 2, V3.3 4, V3.4 6,
  V3.5 5, V3.7 2, V4.1 3, V4.2 1, V4.3 2, V4.4 4, V5.1 1, V5.2 3, V5.3 2, V5.4 3, V6.1 3, V6.2 12,
  V6.3 4, V6.4 4, V6.5 5, V6.6 3, V6.8 4, V7.1 3, V7.2 4, V7.3 2, V7.4 5, V7.5 2, V7.6 2, V8.1 2,
  V8.2 3, V8.3 1, V8.4 1, V9.1 3, V9.2 4, V10.1 2, V10.2 2, V10.3 4, V10.4 11, V10.5 5, V10.6 2,
  V10.7 3, V11.1 2, V11.2 3, V11.3 3, V11.4 4, V11.5 1, V11.6 1, V12.1 3, V12.2 2, V12.3 4, V13.1 1,
  V13.2 5, V13.3 2, V13.4 5, V14.1 2, V14.2 4, V14.3 3, V15.1 3, V15.2 3, V15.3 7, V16.1 1, V16.2 5,
  V16.3 4, V16.4 3, V16.5 3, V17.1 1, V17.2 4, V17.3 2`

/** Matches quoted paths of files in the folders of the project and in its root. */
const PATH =
  /`((?:api|bench|db|docs|helm|invalidator|scripts|shared|tests)\/[^`\s*{]+|\.?[\w-]+\.(?:md|json|yml|api|invalidator)|\.dockerignore)`/g

const read = (page: string) => readFile(join(root, page), 'utf8')
const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())

for (const page of ['SECURITY.md', 'docs/asvs.md']) {
  describe(page, () => {
    it('refers only to files that exist', async () => {
      const found = (await read(page)).matchAll(PATH)
      const paths = [...new Set([...found].map(([, path = '']) => path))]
      expect(paths).to.have.length.above(20)
      const missing = await Promise.all(
        paths.map((path) =>
          access(join(root, path)).then(
            () => null,
            () => path,
          ),
        ),
      )
      expect(missing.filter((path) => path !== null)).to.deep.equal([])
    })
  })
}

describe('the requirements in docs/asvs.md', () => {
  let lines: readonly string[]
  let rows: readonly (readonly string[])[]

  before(async () => {
    lines = (await read('docs/asvs.md')).split('\n')
    rows = lines.filter((line) => /^\| V\d/.test(line)).map(cellsOf)
  })

  it('are all of ASVS levels 1 and 2, each once and in order', () => {
    const wanted = REQUIREMENTS.split(',').flatMap((entry) => {
      const [section, count] = entry.trim().split(' ')
      return Array.from({ length: Number(count) }, (_, at) => `${section}.${at + 1}`)
    })
    expect(rows.map(([id]) => id)).to.deep.equal(wanted)
    expect(rows.filter(([, level]) => level === '1')).to.have.length(70)
    expect(rows.filter(([, level]) => level === '2')).to.have.length(183)
  })

  it('have evidence and a status, and the legend counts each status correctly', () => {
    const first = lines.indexOf('| status | meaning | requirements |') + 2
    const legend = lines.slice(first, lines.indexOf('', first)).map(cellsOf)
    const counts = legend.map(([name]) => {
      const count = rows.filter(([, , , status]) => status === name).length
      return [name, String(count)]
    })
    expect(counts).to.deep.equal(legend.map(([name, , count]) => [name, count]))
    const statuses = legend.map(([name]) => name)
    for (const [id, , requirement, status, evidence] of rows) {
      expect(statuses, id).to.include(status)
      expect(requirement, id).not.to.equal('')
      expect(evidence, id).not.to.be.oneOf(['', undefined])
    }
  })
})
