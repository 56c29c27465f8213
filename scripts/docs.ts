import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { catalog } from '../shared/resources/index.ts'
import { describeChartValues } from './docs/chart-values.ts'
import { describeConfiguration } from './docs/configuration.ts'
import { describeDashboard } from './docs/dashboard.ts'
import { describeDependencies } from './docs/dependencies.ts'
import { root } from './paths.ts'

const read = (path: string) => readFile(join(root, path), 'utf8')
const pages = {
  'docs/configuration.md': describeConfiguration(catalog.map(({ name }) => name)),
  'docs/dependencies.md': describeDependencies(catalog),
  'helm/files/dashboard.json': describeDashboard(),
  'helm/README.md': describeChartValues(
    await read('helm/README.md'),
    await read('helm/values.yaml'),
  ),
}
for (const [path, text] of Object.entries(pages)) {
  await writeFile(join(root, path), text)
  console.log(`wrote ${path}`)
}
