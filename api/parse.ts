import type { z } from 'zod'
import { notFound, PublicError } from '../shared/errors.ts'

/**
 * Parses input of a client.
 * @throws PublicError `invalid` with the messages of each invalid field in `fields`.
 */
export function parse<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input ?? {}, { error: message })
  if (parsed.success) return parsed.data

  const fields: Record<string, string[]> = {}
  for (const issue of parsed.error.issues) {
    const field = issue.path.length === 0 ? 'non_field_errors' : String(issue.path[0])
    fields[field] = [...new Set([...(fields[field] ?? []), issue.message])]
  }
  const [first] = parsed.error.issues
  const detail = first?.path.length ? `${String(first.path[0])}: ${first.message}` : first?.message
  throw new PublicError('invalid', detail ?? 'Invalid input.', { fields })
}

const MAX_ID = 9_223_372_036_854_775_807n

/**
 * Returns an id from a path as decimal text without leading zeros.
 * @throws PublicError `not_found` if the text cannot be an id, without a query to the database.
 */
export function parseId(text: string | undefined, entity: string): string {
  if (text === undefined || !/^\d+$/.test(text)) throw new PublicError('not_found', 'Not found.')
  const digits = text.replace(/^0+(?=\d)/, '')
  if (digits.length > 19 || BigInt(digits) > MAX_ID) throw notFound(entity, digits)
  return digits
}

/** Messages of Django REST framework, which existing clients know. */
const message: z.core.$ZodErrorMap = (issue) => {
  if (issue.input === undefined) return 'This field is required.'
  if (issue.input === null) return 'This field may not be null.'
  switch (issue.code) {
    case 'invalid_type':
      return TYPE_MESSAGES[issue.expected]
    case 'too_small':
      if (issue.origin !== 'string') return undefined
      return 'This field may not be blank.'
    case 'too_big':
      if (issue.origin !== 'string') return undefined
      return `Ensure this field has no more than ${issue.maximum} characters.`
    case 'invalid_format':
      return issue.format === 'email' ? 'Enter a valid email address.' : undefined
    case 'invalid_value':
      return `"${JSON.stringify(issue.input).replaceAll('"', '').slice(0, MAX_ECHO)}" is not a valid choice.`
    default:
      return undefined
  }
}

/** Length of an invalid value in a message, in characters. */
const MAX_ECHO = 200

const TYPE_MESSAGES: Readonly<Record<string, string>> = {
  string: 'Not a valid string.',
  number: 'A valid integer is required.',
  int: 'A valid integer is required.',
  boolean: 'Must be a valid boolean.',
  array: 'Expected a list of items.',
  object: 'Invalid data. Expected a dictionary.',
}
