/** A request that cannot be answered, with the reason for the user. */
export class Unanswerable extends Error {
  override readonly name = 'Unanswerable'
}
