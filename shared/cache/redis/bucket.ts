/**
 * Buckets of a Redis Cluster. The hash tag of a bucket puts its entries, watermarks and clock into one
 * slot. So one script deletes entries and advances watermarks, and a slot that moves takes all of them
 * with it.
 *
 * The number of buckets is part of the keys. So processes that assume different numbers share no key.
 */

/** Returns the first part of the keys of a bucket, such as `app/64/{17}`. */
export const bucketPrefix = (prefix: string, bucket: number, buckets: number): string =>
  `${prefix}/${buckets}/{${bucket}}`

/** Returns the slot of a bucket: that of its hash tag. */
export const slotOf = (bucket: number): number => slotOfText(`${bucket}`)

/**
 * Returns the slot of a hash tag, or of a key without one.
 * Source: Redis Cluster Specification, appendix A (CRC16, polynomial 0x1021), modulo 16384 slots.
 */
export function slotOfText(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)
    crc &= 0xffff
  }
  return crc % 16_384
}

/** Calls a function for every bucket, and returns its results in the order of the buckets. */
export const inEachBucket = <T>(
  { count }: { readonly count: number },
  call: (bucket: number) => T,
): T[] => Array.from({ length: count }, (_, bucket) => call(bucket))

/** Returns the key that stores the number of buckets of a prefix. */
export const bucketCountKey = (prefix: string): string => `${prefix}/buckets`

/**
 * Returns the bucket of a key, as it is without buckets. `buckets` is a power of two.
 * Source: FNV-1a with 32 bits. Its high bits are folded in, since the lowest depend on few characters.
 */
export function bucketOf(key: string, buckets: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  }
  return (hash ^ (hash >>> 16)) & (buckets - 1)
}

/** Returns a key that was printed with its bucket as it is without; any other text unchanged. */
export const withoutBucket = (prefix: string, text: string): string => {
  const rest = text.startsWith(`${prefix}/`) ? text.slice(prefix.length + 1) : ''
  const match = /^\d+\/\{\d+\}\/(.*)$/s.exec(rest)
  return match === null ? text : `${prefix}/${match[1]}`
}
