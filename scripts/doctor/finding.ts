/** Something about the servers that an operator should know. */
export interface Finding {
  /** `wrong` has to be put right; a `note` may be as it is on purpose. */
  readonly kind: 'wrong' | 'note'
  readonly what: string
  /** What comes of it. */
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

/** A finding as the command line prints it. */
export const describeFinding = ({ kind, what, why, remedy }: Finding): string =>
  `\n${kind === 'wrong' ? 'WRONG' : 'note '}  ${what}\n       why: ${why}\n       do:  ${remedy}`
