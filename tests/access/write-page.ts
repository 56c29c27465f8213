import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../../scripts/paths.ts'
import { mochaGlobalSetup, mochaGlobalTeardown } from '../support/servers.ts'
import { describeAccess } from './page.ts'
import { probeAccess, startProbedApi } from './probe.ts'

// Uses the same servers as the tests.
await mochaGlobalSetup()
try {
  await using probed = await startProbedApi()
  await writeFile(join(root, 'docs/access.md'), describeAccess(await probeAccess(probed)))
  process.stdout.write('wrote docs/access.md\n')
} finally {
  await mochaGlobalTeardown()
}
