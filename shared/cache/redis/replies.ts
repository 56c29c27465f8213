/** Returns whether a command failed because its key has another type. */
export const isWrongType = (error: unknown): error is Error =>
  error instanceof Error && error.message.startsWith('WRONGTYPE')

/** Returns whether the user of a connection lacks a permission. Scripts report it in other words. */
export const isDenial = (error: unknown): error is Error =>
  error instanceof Error &&
  /^NOPERM|ACL failure in script|user executing the script can't/.test(error.message)
