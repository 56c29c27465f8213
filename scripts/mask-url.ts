/** Returns a connection string with its passwords masked. */
export function maskUrl(url: string): string {
  // Sentinel addresses with several hosts are not valid URLs.
  if (/^rediss?-sentinel:/.test(url)) {
    return url
      .replace(/^([^:]+:\/\/[^:@/]*):[^@/]*@/, '$1:***@')
      .replace(/(sentinelPassword=)[^&#]*/, '$1***')
  }
  if (!URL.canParse(url)) return '***'
  const shown = new URL(url)
  if (shown.password) shown.password = '***'
  // libpq and ioredis also read a password from the query.
  if (shown.searchParams.has('password')) shown.searchParams.set('password', '***')
  return shown.href
}
