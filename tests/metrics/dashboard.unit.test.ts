import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { type Panel, readPanels } from './expressions.ts'
import { openPromtool } from './promtool.ts'

const overlap = ({ gridPos: a }: Panel, { gridPos: b }: Panel) =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h

describe('dashboard', function () {
  this.timeout(60_000)
  let panels: readonly Panel[]

  before(async () => {
    panels = await readPanels()
  })

  it('has valid Prometheus queries', async function () {
    const promtool = await openPromtool()
    // promtool is neither on PATH nor can apt-get download it.
    if (promtool === null) this.skip()
    const folder = await mkdtemp(join(tmpdir(), 'spms-dashboard-'))
    const rules = panels.flatMap(({ id, targets = [] }) =>
      targets.map(({ expr }, index) => ({
        record: `panel:${id}:${index}`,
        expr: expr.replaceAll('$__rate_interval', '5m'),
      })),
    )
    const file = join(folder, 'rules.json')
    await writeFile(file, JSON.stringify({ groups: [{ name: 'panels', rules }] }))
    await promtool('check', 'rules', file)
    await rm(folder, { recursive: true })
  })

  it('has three rows and no overlapping panels', () => {
    expect(panels.filter(({ type }) => type === 'row').map(({ title }) => title)).to.deep.equal([
      'Correctness',
      'Latency',
      'Load',
    ])
    expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length)
    for (const [index, panel] of panels.entries()) {
      const under = panels.slice(index + 1).filter((other) => overlap(panel, other))
      expect(
        under.map(({ title }) => title),
        panel.title,
      ).to.deep.equal([])
    }
  })

  it('uses the data source that the viewer selects', () => {
    for (const panel of panels.filter(({ type }) => type !== 'row')) {
      expect(JSON.stringify(panel)).to.include('"uid":"${datasource}"')
    }
  })
})
