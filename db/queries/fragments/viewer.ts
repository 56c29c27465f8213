/** Who is going to read an answer that says less to some than to others. */
export interface Viewer {
  readonly userId: string
  readonly isSuperuser: boolean
}
