import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { describeChartValues } from '../scripts/docs/chart-values.ts'
import { describeConfiguration } from '../scripts/docs/configuration.ts'
import { describeDashboard } from '../scripts/docs/dashboard.ts'
import { describeDependencies } from '../scripts/docs/dependencies.ts'
import { root } from '../scripts/paths.ts'
import { catalog } from '../shared/resources/index.ts'

const FOLDER = join(root, 'docs')

describe('docs', () => {
  it('tell the dependencies as the rules have them; else run `npm run docs`', async () => {
    const written = await readFile(join(FOLDER, 'dependencies.md'), 'utf8')
    expect(written).to.equal(describeDependencies(catalog))
  })

  it('list every setting as its schema describes it; else run `npm run docs`', async () => {
    const written = await readFile(join(FOLDER, 'configuration.md'), 'utf8')
    expect(written).to.equal(describeConfiguration(catalog.map(({ name }) => name)))
  })

  it('draw the dashboard as it is described; else run `npm run docs`', async () => {
    const written = await readFile(join(root, 'helm/files/dashboard.json'), 'utf8')
    expect(written).to.equal(describeDashboard())
  })

  it('tell the values of the chart as its comments have them; else run `npm run docs`', async () => {
    const read = (name: string) => readFile(join(root, 'helm', name), 'utf8')
    const written = await read('README.md')
    expect(written).to.equal(describeChartValues(written, await read('values.yaml')))
  })

  it('name only files that are there', async () => {
    for (const page of await readdir(FOLDER)) {
      const text = await readFile(join(FOLDER, page), 'utf8')
      const paths = [
        ...text.matchAll(
          /`((?:api|db|docs|invalidator|scripts|shared|tests|bench|helm)\/[^`\s*{]+)`/g,
        ),
      ]
      for (const [, path = ''] of paths) {
        await access(join(root, path)).catch(() => expect.fail(`${page} names ${path}`))
      }
    }
  })
})
