import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { z } from 'zod'
import { readOpenApiDocument } from '../scripts/openapi.ts'
import { root } from '../scripts/paths.ts'

const BASE = '/api/v1/'
const document = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })
const OUT_OF_SCOPE = ['document sections', 'PDF generation', 'mail', 'guides', 'quotes'] as const

describe('docs/front-end.md', () => {
  let rows: readonly Row[]
  let declared: readonly string[]

  before(async () => {
    const page = await readFile(join(root, 'docs/front-end.md'), 'utf8')
    rows = [...page.matchAll(/^\| (.*) \| (.*) \| (.*) \|$/gm)]
      .map(([, previous = '', here = '', used = '']) => ({ previous, here, used }))
      .filter(({ here }) => here !== 'here')
    const { paths } = document.parse(JSON.parse(await readOpenApiDocument()))
    declared = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${shorten(path)}`),
    )
  })

  it('names every declared operation once, and no other operation as one that exists', () => {
    const named = rows.flatMap(({ here }) => operationsIn(here))
    expect(named).to.have.length.above(150)
    expect(named.toSorted()).to.deep.equal(declared.toSorted())
  })

  it('gives a reason for each operation that does not exist, and names no such operation that does', () => {
    const absent = rows.filter(({ here }) => operationsIn(here).length === 0)
    expect(absent).to.have.length.above(20)
    for (const { previous, here } of absent) {
      expect(here, previous).to.match(/^none: ./)
      for (const operation of operationsIn(previous)) expect(declared).not.to.include(operation)
    }
  })

  it('marks only operations that exist as called by the front end', () => {
    const used = rows.filter((row) => row.used !== '')
    expect(used).to.have.length.above(40)
    for (const { here, used: mark } of used) {
      expect(mark).to.equal('yes')
      expect(operationsIn(here), here).to.have.length(1)
    }
  })

  it('lists an operation for each subject that is out of scope', () => {
    for (const subject of OUT_OF_SCOPE) {
      expect(rows.map(({ here }) => here)).to.include(`none: ${subject}`)
    }
  })
})

interface Row {
  /** Operations of the previous API. */
  readonly previous: string
  /** Operations of this API, or the reason why there are none. */
  readonly here: string
  readonly used: string
}

/** Returns `/api/v1/users/{id}` as `users/:id`. */
const shorten = (path: string) =>
  (path.startsWith(BASE) ? path.slice(BASE.length) : path).replaceAll(/\{(\w+)\}/g, ':$1')

/** Returns the operations of a cell such as "`GET, PUT users/:id`". */
function operationsIn(cell: string): string[] {
  const [, methods = '', path = ''] = /^`([A-Z]+(?:, [A-Z]+)*) (\S+)`$/.exec(cell) ?? []
  return methods === '' ? [] : methods.split(', ').map((method) => `${method} ${path}`)
}
