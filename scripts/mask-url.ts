/** A connection string as it may be shown: without its password. */
export function maskUrl(url: string): string {
  if (!URL.canParse(url)) return '***'
  const shown = new URL(url)
  if (shown.password) shown.password = '***'
  // libpq and ioredis read one from the query too.
  if (shown.searchParams.has('password')) shown.searchParams.set('password', '***')
  return shown.href
}
