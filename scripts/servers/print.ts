/** Tells the person at the terminal what happens, one line at a time. */
export type Print = (line: string) => void
