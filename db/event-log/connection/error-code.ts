/** Returns the code of a system or database error, such as `EADDRINUSE` or `42P01`. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
