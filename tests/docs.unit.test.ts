import { access, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import { describeChartValues } from '../scripts/docs/chart-values.ts'
import { describeConfiguration } from '../scripts/docs/configuration.ts'
import { describeDashboard } from '../scripts/docs/dashboard.ts'
import { describeDependencies } from '../scripts/docs/dependencies.ts'
import { root } from '../scripts/paths.ts'
import { catalog } from '../shared/resources/index.ts'

const FOLDER = join(root, 'docs')

/** Returns the names of the pages, without the folder of images. */
const findPages = async () => (await readdir(FOLDER)).filter((name) => name.endsWith('.md'))

describe('documentation pages', () => {
  it('list the dependencies that the rules declare; if not, run `npm run docs`', async () => {
    const written = await readFile(join(FOLDER, 'dependencies.md'), 'utf8')
    expect(written).to.equal(describeDependencies(catalog))
  })

  it('list every setting as its schema describes it; if not, run `npm run docs`', async () => {
    const written = await readFile(join(FOLDER, 'configuration.md'), 'utf8')
    expect(written).to.equal(describeConfiguration(catalog.map(({ name }) => name)))
  })

  it('contain the dashboard as the scripts generate it; if not, run `npm run docs`', async () => {
    const written = await readFile(join(root, 'helm/files/dashboard.json'), 'utf8')
    expect(written).to.equal(describeDashboard())
  })

  it('list the values of the Helm chart with their comments; if not, run `npm run docs`', async () => {
    const read = (name: string) => readFile(join(root, 'helm', name), 'utf8')
    const written = await read('README.md')
    expect(written).to.equal(describeChartValues(written, await read('values.yaml')))
  })

  it('quote a resource in README exactly as the code defines it', async () => {
    const [, example = ''] =
      /```ts\n(.*?)```/s.exec(await readFile(join(root, 'README.md'), 'utf8')) ?? []
    const code = await readFile(join(root, 'shared/resources/branches.ts'), 'utf8')
    expect(example).to.have.length.above(100)
    expect(code).to.include(example)
  })

  it('link only to files and headings that exist', async () => {
    const pages = [
      'README.md',
      'ARCHITECTURE.md',
      'SECURITY.md',
      'CONTRIBUTING.md',
      'CHANGELOG.md',
      'helm/README.md',
      'bench/README.md',
    ]
    for (const page of await findPages()) pages.push(`docs/${page}`)
    for (const page of pages) {
      const text = await readFile(join(root, page), 'utf8')
      for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(link)) continue
        const [path = '', heading] = link.split('#')
        const target = path === '' ? join(root, page) : join(root, dirname(page), path)
        const linked = await readFile(target, 'utf8').catch(() =>
          expect.fail(`${page} links to ${link}`),
        )
        if (heading === undefined) continue
        const headings = [...linked.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
          title
            .toLowerCase()
            .replaceAll(/[^\w\s-]/g, '')
            .replaceAll(' ', '-'),
        )
        expect(headings, `${page} links to ${link}`).to.include(heading)
      }
    }
  })

  it('name only files that exist', async () => {
    for (const page of await findPages()) {
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
