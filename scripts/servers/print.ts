/** Prints one line of progress to the terminal. */
export type Print = (line: string) => void
