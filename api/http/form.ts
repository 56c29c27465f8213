import type { IncomingMessage } from 'node:http'
import { PublicError } from '../../shared/errors.ts'
import { createLimiter } from '../../shared/limiter.ts'

/** A file in a form. Its name and type are not kept, since a client may send any. */
export class UploadedFile {
  readonly bytes: Buffer

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }
}

type Field = string | UploadedFile

/** The fields of a form by name: text or a file, or a list of those if a name is repeated. */
export type Form = Readonly<Record<string, Field | readonly Field[]>>

/** Enough for every area on the map, each in a field of its own. */
const MAX_FIELDS = 300
/** Longest part of a form besides its file, in bytes. */
const MAX_REST_BYTES = 200_000
/** Longest headers of a field, in bytes. */
const MAX_HEADER_BYTES = 2_000

/** Whether the body of a request is a form that may contain files. */
export const isForm = ({ headers }: IncomingMessage): boolean =>
  /^multipart\/form-data\s*(;|$)/i.test(headers['content-type'] ?? '')

/** Reads the form in the body of a request, as `readForm` does. */
export type ReadForm = (req: IncomingMessage) => Promise<Form>

// Forms are kept in memory, so few are read at a time.
const AT_ONCE = 4
const QUEUE = 100

/** Creates a function that reads forms with at most one file of at most `maxFileBytes`. */
export function createReadForm(maxFileBytes: number): ReadForm {
  const read = createLimiter(
    AT_ONCE,
    QUEUE,
    () => new PublicError('unavailable', 'The server is busy.', { retryAfterS: 1 }),
  )
  return (req) => read(() => readForm(req, maxFileBytes))
}

/**
 * Reads a form with at most one file of at most `maxFileBytes`.
 * @throws PublicError `too_large`, or `invalid` for a malformed or aborted form.
 */
async function readForm(req: IncomingMessage, maxFileBytes: number): Promise<Form> {
  const body = await readBody(req, maxFileBytes + MAX_REST_BYTES)
  const boundary = boundaryOf(req)
  requireFewFields(body, boundary)
  const headers = { 'Content-Type': `multipart/form-data; boundary="${boundary}"` }
  // The parser of fetch: it accepts what browsers send, and rejects everything else.
  const sent = await new Response(body, { headers }).formData().catch((error: unknown) => {
    throw malformed(error)
  })
  const entries = [...sent]
  // A browser sends an empty file for an empty field.
  const files = entries.flatMap(([, value]) =>
    typeof value === 'string' || value.size === 0 ? [] : [value],
  )
  if (files.length > 1) throw malformed()
  if (files.some(({ size }) => size > maxFileBytes)) throw tooLarge()
  const form = new Map<string, readonly Field[]>()
  const add = (name: string, value: Field) => form.set(name, [...(form.get(name) ?? []), value])
  for (const [name, value] of entries) {
    if (typeof value === 'string') add(name, value)
    else if (value.size > 0) add(name, new UploadedFile(Buffer.from(await value.arrayBuffer())))
  }
  return Object.fromEntries(
    [...form].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  )
}

function boundaryOf({ headers }: IncomingMessage): string {
  const [, quoted, plain] =
    /;\s*boundary=(?:"([\w'()+,./:=?-]+)"|([\w'+.-]+))\s*(?:;|$)/i.exec(
      headers['content-type'] ?? '',
    ) ?? []
  return quoted ?? plain ?? ''
}

/**
 * The parser takes seconds for thousands of fields or headers, during which the process answers no request.
 * @throws PublicError `invalid` for too many fields, or too long headers of a field.
 */
function requireFewFields(body: Buffer, boundary: string): void {
  if (boundary === '') throw malformed()
  const delimiter = `--${boundary}`
  let fields = 0
  for (let at = 0; at !== -1; at = body.indexOf(`\r\n${delimiter}`, at + 1)) {
    const start = body.toString('latin1', at, at + MAX_HEADER_BYTES)
    if (start.trimStart().startsWith(`${delimiter}--`)) return
    if (++fields > MAX_FIELDS || !start.includes('\r\n\r\n')) throw malformed()
  }
}

function readBody(req: IncomingMessage, maxBytes: number): Promise<Buffer<ArrayBuffer>> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let received = 0
    const fail = (error: PublicError) => {
      chunks.length = 0
      reject(error)
    }
    // A client that left during the check of access causes no further event.
    if (req.destroyed) return fail(malformed())
    if (Number(req.headers['content-length'] ?? 0) > maxBytes) fail(tooLarge())
    req.on('data', (chunk: Buffer) => {
      received += chunk.length
      // The rest is discarded: many clients read the answer only after they have sent everything.
      if (received > maxBytes) fail(tooLarge())
      else chunks.push(chunk)
    })
    req.once('end', () => resolve(Buffer.concat(chunks)))
    req.once('error', (error) => fail(malformed(error)))
    req.once('close', () => {
      if (!req.complete) fail(malformed())
    })
  })
}

const tooLarge = () => new PublicError('too_large', 'The body is too large.')
const malformed = (cause?: unknown) =>
  new PublicError('invalid', 'Multipart form parse error', { cause })
