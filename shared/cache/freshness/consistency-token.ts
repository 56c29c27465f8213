import type { Visibility } from '../../../db/event-log/index.ts'

/** State that a client must see after its write: everything committed before a moment. */
export interface ConsistencyToken {
  /**
   * Incarnation as 32 hexadecimal digits. `null` if unknown: then no watermark satisfies the token.
   */
  readonly incarnation: string | null
  readonly snapshot: Visibility
}
