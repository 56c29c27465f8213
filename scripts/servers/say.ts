/** Tells the person at the terminal what happens, one line at a time. */
export type Say = (line: string) => void
