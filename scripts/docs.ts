import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { catalog } from '../shared/resources/index.ts'
import { describeDependencies } from './docs/dependencies.ts'
import { root } from './paths.ts'

const path = 'docs/dependencies.md'
await writeFile(join(root, path), describeDependencies(catalog))
console.log(`wrote ${path}`)
