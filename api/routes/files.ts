import { z } from 'zod'
import { findFileAudience } from '../../db/queries/file-audience.ts'
import { PublicError } from '../../shared/errors.ts'
import type { AppDeps } from '../deps.ts'
import { anyone, type Endpoint, handle } from '../endpoints/index.ts'
import type { FileStorage } from '../files/storage.ts'
import { isStoredPath, mediaTypeOf } from '../files/stored-path.ts'
import { sendFile } from '../http/send-file.ts'

export interface FileEndpointsDeps extends Pick<AppDeps, 'authenticate' | 'logger' | 'reader'> {
  readonly storage: FileStorage
  /** How long an edge cache may keep a public file, in s. */
  readonly edgeMaxAgeS: number
}

const absent = () => new PublicError('not_found', 'Not found.')

const storedPath = {
  schema: z.string().meta({ description: 'A path in a response, such as `user_avatars/5.jpg`.' }),
  spansSegments: true,
  parse(text: string) {
    if (isStoredPath(text)) return text
    throw absent()
  },
} as const

/** Uploaded files, below `/files`. */
export const fileEndpoints = (deps: FileEndpointsDeps): readonly Endpoint[] => [
  handle('get', '/:path', {
    summary:
      'Get an image or a PDF; without a log-in only those that public pages of staff refer to',
    access: anyone,
    params: { path: storedPath },
    answers: { 200: '*/*', 206: '*/*', 416: 'application/problem+json' },
    async handle(req, res, { params: { path } }) {
      const { authenticate, reader, storage, logger, edgeMaxAgeS } = deps
      const type = mediaTypeOf(path)
      const user = await authenticate(req)
      const audience = type && (await reader.query((trx) => findFileAudience(trx, path)))
      const isPublic = audience === 'anyone'
      if (!type || !audience || (!isPublic && user === null)) throw absent()
      const cacheControl = isPublic
        ? `public, max-age=0, s-maxage=${edgeMaxAgeS}, must-revalidate`
        : 'private, no-cache'
      try {
        await using file = await storage.open(path)
        if (file === null) throw absent()
        await sendFile(req, res, file, { type, cacheControl })
      } catch (error) {
        if (error instanceof PublicError) throw error
        logger.error('could not read a stored file', { path, error })
        throw new PublicError('unavailable', 'Files cannot be read now.', {
          retryAfterS: 1,
          cause: error,
        })
      }
    },
  }),
]
