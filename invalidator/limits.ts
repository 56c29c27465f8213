/**
 * What one window may ask of memory and time, whatever was committed. Above a limit the resource
 * is flushed: that deletes the same entries and more, so a limit never costs correctness.
 *
 * With the limits on what is read of the log (50,000 events, 100,000 rows, 8 MiB of keys) they keep
 * the process below 300 MiB. Between pieces of work the session is pinged.
 */
export const LIMITS = {
  /** Distinct entries of one resource. */
  keysPerResource: 50_000,
  /** Characters in the names of all entries of a window. */
  keyChars: 8_000_000,
  /** Rows of arguments of one lookup, and rows that it may find. */
  lookupArguments: 10_000,
  lookupRows: 20_000,
  /** How long the lookups of a window may take before the resources of the rest are flushed. */
  lookupsMs: 1_000,
  /** Lookups that are sent together; the time is looked at between. */
  lookupsAtOnce: 8,
  /** Rows that are mapped before the event loop has its turn. */
  rowsPerTurn: 2_000,
} as const
