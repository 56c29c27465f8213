/**
 * Decides about access before rows are locked, and again once they are: a user without the right
 * locks nothing and waits for nobody, and a right that is lost during the wait does not count.
 * Returns the second decision.
 */
export async function decideTwice<T>(
  decide: () => Promise<T>,
  lock: () => Promise<unknown>,
): Promise<T> {
  await decide()
  await lock()
  return decide()
}
