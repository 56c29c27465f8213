import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import sharp from 'sharp'
import { createDirectoryStorage } from '../../api/files/directory.ts'
import type { FileStorage } from '../../api/files/storage.ts'

/** A media root in a temporary folder. */
export interface MediaRoot extends AsyncDisposable {
  readonly path: string
  readonly storage: FileStorage
  /** Writes a file as another program, such as Django, does. */
  put(path: string, bytes: Buffer | string): Promise<void>
  /** Returns the paths of all files, in order. */
  list(): Promise<readonly string[]>
  /** Removes all files. */
  clear(): Promise<void>
}

export async function createMediaRoot(): Promise<MediaRoot> {
  const path = await mkdtemp(join(tmpdir(), 'spms-media-'))
  return {
    path,
    storage: createDirectoryStorage(path),
    async put(name, bytes) {
      await mkdir(dirname(join(path, name)), { recursive: true })
      await writeFile(join(path, name), bytes)
    },
    async list() {
      const names = await readdir(path, { recursive: true })
      const files: string[] = []
      for (const name of names) {
        if ((await stat(join(path, name))).isFile()) files.push(relative(path, join(path, name)))
      }
      return files.toSorted()
    },
    async clear() {
      for (const name of await readdir(path)) await rm(join(path, name), { recursive: true })
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

interface Drawing {
  readonly width: number
  readonly height: number
}

/** Returns the pixels of a picture: red grows to the right, green grows downwards. */
export function draw({ width, height }: Drawing): Buffer {
  const pixels = Buffer.alloc(width * height * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      pixels.set([(x * 255) / width, (y * 255) / height, 90], (y * width + x) * 3)
    }
  }
  return pixels
}

const encode = (drawing: Drawing) => sharp(draw(drawing), { raw: { ...drawing, channels: 3 } })

export const pngOf = (drawing: Drawing): Promise<Buffer> => encode(drawing).png().toBuffer()
export const jpegOf = (drawing: Drawing): Promise<Buffer> => encode(drawing).jpeg().toBuffer()

/** Decodes a picture to its pixels, without an alpha channel. */
export const pixelsOf = async (bytes: Buffer) =>
  sharp(bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true })

export interface FormPart {
  readonly name: string
  readonly content: Buffer | string
  readonly filename?: string
  readonly type?: string
}

const BOUNDARY = 'boundary-of-the-tests'

export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`

/** Returns the body of a form. */
export const formOf = (parts: readonly FormPart[]): Buffer =>
  Buffer.concat([
    ...parts.flatMap(({ name, content, filename, type }) => [
      Buffer.from(
        `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"` +
          (filename === undefined ? '' : `; filename="${filename}"`) +
          (type === undefined ? '' : `\r\nContent-Type: ${type}`) +
          '\r\n\r\n',
      ),
      Buffer.from(content),
      Buffer.from('\r\n'),
    ]),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ])
