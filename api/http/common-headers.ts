import type { ServerResponse } from 'node:http'

/** A response that can write headers together with its others. To set one by one costs more. */
export interface WithDeferredHeaders {
  /** Takes headers, as alternating names and values. Headers of the same name that are set win. */
  deferHeaders(headers: readonly string[]): void
}

/** Gives a response the headers that each response has, as alternating names and values. */
export function addCommonHeaders(
  res: ServerResponse & Partial<WithDeferredHeaders>,
  headers: readonly string[],
): void {
  if (res.deferHeaders) res.deferHeaders(headers)
  else setEach(res, headers)
}

/** Sets headers one by one, except those that the response has already. */
export function setEach(res: ServerResponse, headers: readonly string[]): void {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (!res.hasHeader(name)) res.setHeader(name, headers[i + 1] as string)
  }
}
