/** Whether the tests run as part of `.ci/long`: with more rounds, and with the tests of `itLong`. */
export const LONG = process.env.SPMS_LONG === '1'

/**
 * Pause between the rounds of a load that runs beside the tested work, in ms. Without it, the load takes the processor
 * time of this work.
 */
export const LOAD_PAUSE_MS = LONG ? 2 : 10

/**
 * Declares a test that runs only in `.ci/long`. A shorter test of every run must protect the same
 * behaviour.
 */
export function itLong(title: string, test: () => Promise<void>): void {
  if (LONG) it(title, test)
}
