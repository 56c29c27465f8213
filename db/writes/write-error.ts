/** Why a write was not done; the words are those of the error that a client is told. */
export type WriteErrorReason =
  'invalid' | 'unauthenticated' | 'forbidden' | 'not_found' | 'conflict' | 'unavailable'

/** A write that must not be done. Thrown inside its transaction, so that nothing of it remains. */
export class WriteError extends Error {
  override readonly name = 'WriteError'
  readonly reason: WriteErrorReason
  /** What clients are told beside the message, such as the messages of each wrong field. */
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
