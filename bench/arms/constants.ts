import { readFile } from 'node:fs/promises'

/** A constant response. */
interface Constant {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** Reads the port and the response files of a constant arm from its environment. */
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

/** The first bytes of gzip. JSON cannot begin with them. */
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b])

const toConstant = (body: Buffer): Constant => ({
  headers: {
    'Content-Type': 'application/json; charset=utf-8',
    ...(body.subarray(0, 2).equals(GZIP_MAGIC) && { 'Content-Encoding': 'gzip' }),
    'Content-Length': `${body.length}`,
    ETag: '"constant"',
  },
  body,
})
