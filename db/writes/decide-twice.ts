/**
 * Checks access before rows are locked and again afterwards. So a user without the right locks no rows
 * and waits for no lock. A right that is revoked during the wait does not count. Returns the second
 * decision.
 */
export async function decideTwice<T>(
  decide: () => Promise<T>,
  lock: () => Promise<unknown>,
): Promise<T> {
  await decide()
  await lock()
  return decide()
}
