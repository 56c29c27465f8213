import { randomUUID } from 'node:crypto'

/** The length of the columns that contain paths. */
const MAX_PATH = 100

/**
 * Whether a text is a path of a stored file: names separated by slashes, none of which is hidden or leads
 * out of its folder.
 */
export const isStoredPath = (text: string): boolean =>
  text.length <= MAX_PATH &&
  text
    .split('/')
    .every((name) => /^[^.\\\p{Cc}\p{Surrogate}][^\\\p{Cc}\p{Surrogate}]*$/u.test(name))

const TYPES: Readonly<Record<string, string>> = {
  gif: 'image/gif',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  pdf: 'application/pdf',
  png: 'image/png',
  webp: 'image/webp',
}

/**
 * Returns the media type of a stored file by the end of its name; undefined for a type that is never served,
 * such as SVG and HTML, which can contain scripts.
 */
export const mediaTypeOf = (path: string): string | undefined =>
  TYPES[/\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? '']

/** Returns a path that no file has. It contains nothing that a client sent. */
export const createPath = (folder: string, extension: string): string =>
  `${folder}/${randomUUID()}.${extension}`
