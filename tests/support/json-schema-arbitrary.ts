import fc, { type Arbitrary } from 'fast-check'

/** The part of JSON Schema that the OpenAPI document uses. */
export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly format?: string
}

/**
 * Generates values that almost match a schema: the structure matches, but some parts come from
 * `wrong`, and limits are ignored.
 */
export function nearly(
  schema: JsonSchema,
  resolve: (ref: string) => JsonSchema,
  wrong: Arbitrary<unknown>,
): Arbitrary<unknown> {
  const of = (part: JsonSchema): Arbitrary<unknown> =>
    fc.oneof({ weight: 4, arbitrary: right(part) }, { weight: 1, arbitrary: wrong })

  function right(part: JsonSchema): Arbitrary<unknown> {
    if (part.$ref !== undefined) return right(resolve(part.$ref))
    if (part.const !== undefined) return fc.constant(part.const)
    if (part.enum) return fc.constantFrom(...part.enum)
    if (part.anyOf) return fc.oneof(...part.anyOf.map(right))
    switch (part.type) {
      case 'object': {
        const properties = Object.entries(part.properties ?? {})
        const record = Object.fromEntries(properties.map(([name, value]) => [name, of(value)]))
        return fc.record(record, { requiredKeys: [] })
      }
      case 'array':
        return fc.array(of(part.items ?? {}), { maxLength: 3 })
      case 'integer':
        return fc.oneof(fc.integer({ min: 0, max: 60 }), fc.maxSafeInteger())
      case 'number':
        return fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))
      case 'boolean':
        return fc.boolean()
      case 'null':
        return fc.constant(null)
      case 'string':
        return part.format === 'date'
          ? fc.constantFrom('2026-02-28', '2026-02-30', '9999-12-31', '0001-01-01')
          : fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('1', '2', 'a@b.example'))
      default:
        return wrong
    }
  }

  return right(schema)
}
