import { readFileSync } from 'node:fs'

/** Version of this program; `unknown` if its package.json is not beside it. */
export const VERSION: string =
  ['../package.json', '../../package.json'].map(readVersion).find(Boolean) ?? 'unknown'

/** Compiled code is one folder deeper than its source. */
function readVersion(path: string): string | undefined {
  try {
    const text = readFileSync(new URL(path, import.meta.url), 'utf8')
    return (JSON.parse(text) as { readonly version?: string }).version
  } catch {
    return undefined
  }
}
