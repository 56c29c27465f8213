import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

/** Django's list of common passwords, one per line. Its licence is in common-passwords.LICENSE. */
const FILE = new URL('common-passwords.txt.gz', import.meta.url)

let words: Promise<ReadonlySet<string>> | undefined

/** Whether a password is on the list of common passwords. The first call reads the list. */
export async function isCommonPassword(password: string): Promise<boolean> {
  words ??= readWords()
  return (await words).has(password.toLowerCase().trim())
}

async function readWords(): Promise<ReadonlySet<string>> {
  const text = (await promisify(gunzip)(await readFile(FILE))).toString()
  return new Set(text.split('\n').map((word) => word.trim()))
}
