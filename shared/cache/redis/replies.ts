/** Returns whether a command failed because its key has another type. */
export const isWrongType = (error: unknown): error is Error =>
  error instanceof Error && error.message.startsWith('WRONGTYPE')

/** Returns whether the user of a connection lacks a permission. Scripts report it in other words. */
export const isDenial = (error: unknown): error is Error =>
  error instanceof Error &&
  /^NOPERM|ACL failure in script|user executing the script can't/.test(error.message)

/** Returns whether a node of a cluster replied that another one has the slot of a key. */
export const hasMoved = (error: unknown): error is Error =>
  error instanceof Error && error.message.startsWith('MOVED ')

/** Returns whether a cluster cannot run a command for now: a slot has moved, migrates, or has no server. */
export const isClusterError = (error: unknown): error is Error =>
  error instanceof Error && /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/.test(error.message)
