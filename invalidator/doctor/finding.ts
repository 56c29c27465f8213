/** A problem or a remark about the servers, for an operator. */
export interface Finding {
  /** `wrong` requires a fix; a `note` may be intended. */
  readonly kind: 'wrong' | 'note'
  readonly what: string
  /** The consequence. */
  readonly why: string
  readonly remedy: string
}

export const wrong = (what: string, why: string, remedy: string): Finding => ({
  kind: 'wrong',
  what,
  why,
  remedy,
})

export const note = (what: string, why: string, remedy: string): Finding => ({
  ...wrong(what, why, remedy),
  kind: 'note',
})

/** Formats a finding for the terminal. */
export const describeFinding = ({ kind, what, why, remedy }: Finding): string =>
  `\n${kind === 'wrong' ? 'WRONG' : 'note '}  ${what}\n       why: ${why}\n       do:  ${remedy}`
