/** The reader of a response whose content depends on the reader's rights. */
export interface Viewer {
  readonly userId: string
  readonly isSuperuser: boolean
}
