/** Reasons for which a write is rejected; clients receive them as error codes. */
export type WriteErrorReason =
  'invalid' | 'unauthenticated' | 'forbidden' | 'not_found' | 'conflict' | 'unavailable'

/** Thrown if a write is rejected. Thrown inside the transaction, so that it rolls back. */
export class WriteError extends Error {
  override readonly name = 'WriteError'
  readonly reason: WriteErrorReason
  /** Further members of the problem details, such as the messages of each invalid field. */
  readonly fields: Readonly<Record<string, string | readonly string[]>>

  constructor(
    reason: WriteErrorReason,
    message: string,
    { fields = {}, cause }: Pick<Partial<WriteError>, 'fields' | 'cause'> = {},
  ) {
    super(message, { cause })
    this.reason = reason
    this.fields = fields
  }
}
