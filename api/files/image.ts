import type sharpType from 'sharp'
import { errorCode } from '../../db/event-log/index.ts'
import { PublicError } from '../../shared/errors.ts'

/** Longest side of a stored image, in pixels. Larger images are scaled down. */
const MAX_SIDE = 1_600
/** Largest accepted image, in pixels. */
const MAX_PIXELS = 16_000_000
/** Largest accepted image, in bytes of its pixels. It bounds the memory of decoding one. */
const MAX_DECODED_BYTES = 4 * MAX_PIXELS
const MAX_SECONDS = 10

const SIGNATURES = [
  ['jpg', Buffer.from([0xff, 0xd8, 0xff])],
  ['png', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
] as const

/** An encoded image. */
export interface Image {
  readonly extension: 'jpg' | 'png'
  readonly bytes: Buffer
}

/**
 * Decodes an image and encodes its pixels again, so that nothing else of an upload is stored: no location,
 * no script and no second format. Only JPEG and PNG are decoded.
 * @throws PublicError `invalid` if it is not a valid image, or too large.
 */
export async function reencode(upload: Buffer): Promise<Image> {
  const [extension] =
    SIGNATURES.find(([, signature]) => upload.subarray(0, signature.length).equals(signature)) ?? []
  if (extension === undefined) throw invalidImage()
  const sharp = await loadSharp()
  const readable = extension === 'png' ? withoutTexts(upload) : upload
  const image = sharp(readable, { limitInputPixels: MAX_PIXELS, failOn: 'error', pages: 1 })
    .timeout({ seconds: MAX_SECONDS })
    // Cameras store the direction of an image beside its pixels.
    .autoOrient()
    .resize(MAX_SIDE, MAX_SIDE, { fit: 'inside', withoutEnlargement: true })
    .toColourspace('srgb')
  const encoded = extension === 'png' ? image.png() : image.jpeg({ quality: 85 })
  try {
    const { width, height, channels, depth } = await image.metadata()
    const decodedBytes = width * height * channels * (depth === 'uchar' ? 1 : 2)
    if (decodedBytes > MAX_DECODED_BYTES) throw invalidImage()
    return { extension, bytes: await encoded.toBuffer() }
  } catch (error) {
    // Errors of the system have a code, those of libvips have none.
    if (error instanceof PublicError || errorCode(error) !== undefined) throw error
    throw invalidImage(error)
  }
}

const TEXTS = new Set(['tEXt', 'zTXt', 'iTXt'])
/** Bytes of a chunk besides its data: length, type and checksum. */
const CHUNK_BYTES = 12

/** Removes the texts of a PNG. They can be compressed, and the library unpacks them all, for half a minute. */
function withoutTexts(png: Buffer): Buffer {
  const [, [, signature]] = SIGNATURES
  const kept: Buffer[] = [signature]
  let at = signature.length
  while (at + CHUNK_BYTES <= png.length) {
    const end = at + CHUNK_BYTES + png.readUInt32BE(at)
    if (!TEXTS.has(png.toString('latin1', at + 4, at + 8))) kept.push(png.subarray(at, end))
    at = end
  }
  return Buffer.concat(kept)
}

type Sharp = typeof sharpType

let loading: Promise<Sharp> | undefined

/** Loads the library at the first upload: it takes 20 MiB. */
const loadSharp = (): Promise<Sharp> => (loading ??= load())

async function load(): Promise<Sharp> {
  const { default: sharp } = await import('sharp')
  // Only the decoders of the accepted formats may run.
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({ operation: ['VipsForeignLoadJpegBuffer', 'VipsForeignLoadPngBuffer'] })
  sharp.cache(false)
  // One upload at a time uses one core; the others serve requests.
  sharp.concurrency(1)
  return sharp
}

const INVALID =
  'Upload a valid image. The file you uploaded was either not an image or a corrupted image.'

const invalidImage = (cause?: unknown) =>
  new PublicError('invalid', INVALID, { fields: { image: [INVALID] }, cause })
