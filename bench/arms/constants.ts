import { readFile } from 'node:fs/promises'

/** An answer that never changes. */
interface Constant {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What a constant arm is told by its environment: its port, and files with the bytes to send. */
export async function readConstants(): Promise<{
  readonly port: number
  readonly profile: Constant
  readonly projects: Constant
}> {
  const { PORT = '', PROFILE_FILE = '', PROJECTS_FILE = '' } = process.env
  return {
    port: Number(PORT),
    profile: toConstant(await readFile(PROFILE_FILE)),
    projects: toConstant(await readFile(PROJECTS_FILE)),
  }
}

const toConstant = (body: Buffer): Constant => ({
  headers: {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': `${body.length}`,
    ETag: '"constant"',
  },
  body,
})
