import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.ts'
import { findProse } from './prose/find.ts'

const FILES = ['*.ts', '*.sql', '*.md', 'helm/*.yaml', 'helm/**/*.yaml']

const given = process.argv.slice(2)
const paths = execFileSync('git', ['ls-files', ...(given.length > 0 ? given : FILES)], {
  cwd: root,
})
  .toString()
  .split('\n')
  .filter((path) => path !== '')
let findings = 0
for (const path of paths) {
  for (const { line, text, reason } of findProse(path, readFileSync(join(root, path), 'utf8'))) {
    console.log(`${path}:${line}: ${reason}: ${text}`)
    findings++
  }
}
console.log(`${findings} findings in ${paths.length} files`)
process.exitCode = findings > 0 ? 1 : 0
