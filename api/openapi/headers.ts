/** The headers of answers, as components of the document. */
export const HEADERS = {
  'Cache-Status': header('Whether the answer comes from the cache (RFC 9211).'),
  'Consistency-Token': header(
    'Stands for everything that was committed before the answer; a client that sends it back reads its own writes.',
  ),
  ETag: header(
    'A hash of what a GET of the resource answers. `If-Match` and `If-None-Match` take it.',
  ),
  Location: header('The path of what was created.'),
  'Retry-After': {
    description: 'Seconds until another attempt may succeed.',
    required: true,
    schema: { type: 'integer', minimum: 0 },
  },
  'WWW-Authenticate': header('How to authenticate.', true),
  'X-Request-Id': header('Names the request in the log.'),
} as const

function header(description: string, required = false) {
  return { description, required, schema: { type: 'string' } } as const
}

/** Refers to headers of the components. */
export const headersNamed = (...names: readonly (keyof typeof HEADERS)[]) =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
