/** Why a write was not done; the words are those of the error that a client is told. */
export type RefusalReason =
  'invalid' | 'unauthenticated' | 'forbidden' | 'not_found' | 'conflict' | 'unavailable'

/** A write that must not be done. Thrown inside its transaction, so that nothing of it remains. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly reason: RefusalReason
  /** What clients are told beside the message, such as the messages of each wrong field. */
  readonly fields: Readonly<Record<string, string | readonly string[]>>

  constructor(
    reason: RefusalReason,
    message: string,
    { fields = {}, cause }: Pick<Partial<Refusal>, 'fields' | 'cause'> = {},
  ) {
    super(message, { cause })
    this.reason = reason
    this.fields = fields
  }
}
