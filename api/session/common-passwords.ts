import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

/** The list that Django ships, one word to a line. Its licence stands beside it. */
const FILE = new URL('common-passwords.txt.gz', import.meta.url)

let words: Promise<ReadonlySet<string>> | undefined

/** Whether a password is on the list of common ones. The list is read when it is first needed. */
export async function isCommonPassword(password: string): Promise<boolean> {
  words ??= readWords()
  return (await words).has(password.toLowerCase().trim())
}

async function readWords(): Promise<ReadonlySet<string>> {
  const text = (await promisify(gunzip)(await readFile(FILE))).toString()
  return new Set(text.split('\n').map((word) => word.trim()))
}
