import { Readable } from 'node:stream'
import { BlobServiceClient, RestError } from '@azure/storage-blob'
import type { FileStorage } from './storage.ts'
import { isStoredPath, mediaTypeOf } from './stored-path.ts'

export interface AzureOptions {
  /** With an account key or a shared access signature. */
  readonly connectionString: string
  /** An existing container. */
  readonly container: string
}

const RETRIES = { maxTries: 3, tryTimeoutInMs: 10_000, maxRetryDelayInMs: 1_000 }

const ABSENT = 404

/** Keeps files as blobs of a container of Azure Blob Storage. */
export function createAzureStorage({ connectionString, container }: AzureOptions): FileStorage {
  const client = BlobServiceClient.fromConnectionString(connectionString, {
    retryOptions: RETRIES,
  }).getContainerClient(container)

  const blobOf = (path: string) => {
    if (!isStoredPath(path)) throw new Error('not a path of a stored file')
    return client.getBlockBlobClient(path)
  }

  return {
    async open(path) {
      const blob = blobOf(path)
      const found = await blob.getProperties().catch((error: unknown) => {
        if (error instanceof RestError && error.statusCode === ABSENT) return null
        throw error
      })
      if (found === null) return null
      const { contentLength: size = 0, etag = '', lastModified = new Date(0) } = found
      const opened: Readable[] = []
      return {
        size,
        etag,
        modifiedAt: lastModified,
        async read({ start, end } = { start: 0, end: size - 1 }) {
          // A range of nothing would be the whole blob.
          if (end < start) return Readable.from([])
          const { readableStreamBody: body } = await blob.download(start, end - start + 1, {
            conditions: { ifMatch: etag },
          })
          if (!(body instanceof Readable)) throw new Error('the blob has no body')
          opened.push(body)
          return body
        },
        async [Symbol.asyncDispose]() {
          for (const body of opened) body.destroy()
        },
      }
    },

    async write(path, bytes) {
      await blobOf(path).uploadData(bytes, {
        blobHTTPHeaders: { blobContentType: mediaTypeOf(path) ?? 'application/octet-stream' },
        conditions: { ifNoneMatch: '*' },
      })
    },

    async remove(path) {
      await blobOf(path).deleteIfExists({ deleteSnapshots: 'include' })
    },
  }
}
