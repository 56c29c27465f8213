/** Response headers, as components of the document. */
export const HEADERS = {
  'Cache-Status': header('Whether the response is from the cache (RFC 9211).'),
  'Consistency-Token': header(
    'Represents everything committed before the response; a client that returns it reads its own writes.',
  ),
  ETag: header('A hash of the body of a GET of the resource, for `If-Match` and `If-None-Match`.'),
  Location: header('The path of the created resource.'),
  'Retry-After': {
    description: 'Seconds until another attempt may succeed.',
    required: true,
    schema: { type: 'integer', minimum: 0 },
  },
  'WWW-Authenticate': header('How to authenticate.', true),
  'X-Request-Id': header('Identifies the request in the log.'),
} as const

function header(description: string, required = false) {
  return { description, required, schema: { type: 'string' } } as const
}

/** Returns references to headers in the components. */
export const headersNamed = (...names: readonly (keyof typeof HEADERS)[]) =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
