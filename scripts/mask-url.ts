/** A connection string as it may be shown: without its passwords. */
export function maskUrl(url: string): string {
  // Several hosts, as sentinels have, are no URL by the standard.
  if (/^rediss?-sentinel:/.test(url)) {
    return url
      .replace(/^([^:]+:\/\/[^:@/]*):[^@/]*@/, '$1:***@')
      .replace(/(sentinelPassword=)[^&#]*/, '$1***')
  }
  if (!URL.canParse(url)) return '***'
  const shown = new URL(url)
  if (shown.password) shown.password = '***'
  // libpq and ioredis read one from the query too.
  if (shown.searchParams.has('password')) shown.searchParams.set('password', '***')
  return shown.href
}
