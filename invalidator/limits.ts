/**
 * Limits on memory and time for one window of any size. Above a limit the resource is flushed. A flush
 * deletes the same entries and more, so a limit never affects correctness.
 *
 * Together with the limits on reading the log (50,000 events, 100,000 rows, 8 MiB of keys) they keep
 * the process below 300 MiB. The session is pinged between the steps of a window.
 */
export const LIMITS = {
  /** Distinct entries of one resource. */
  keysPerResource: 50_000,
  /** Characters in the keys of all entries of a window. */
  keyChars: 8_000_000,
  /** Rows of arguments of one lookup, and rows of its result. */
  lookupArguments: 10_000,
  lookupRows: 20_000,
  /**
   * Time for the lookups of a window. After it, the resources of the remaining lookups are flushed.
   */
  lookupsMs: 1_000,
  /** Lookups that are sent together. The time limit is checked between such groups. */
  lookupsAtOnce: 8,
  /** Rows that are mapped before the event loop gets a turn. */
  rowsPerTurn: 2_000,
} as const
