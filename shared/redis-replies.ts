/** Whether a key holds another type than a command is for. */
export const isWrongType = (error: unknown): error is Error =>
  error instanceof Error && error.message.startsWith('WRONGTYPE')

/** Whether the user that a connection belongs to lacks a permission; scripts word it in their own way. */
export const isDenial = (error: unknown): error is Error =>
  error instanceof Error &&
  /^NOPERM|ACL failure in script|user executing the script can't/.test(error.message)
