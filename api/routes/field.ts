import { z } from 'zod'
import { UploadedFile } from '../http/form.ts'

const MAX_INTEGER = 2 ** 31 - 1
const NOT_AN_INTEGER = 'A valid integer is required.'
const MAX_ID = 2n ** 63n - 1n

/** Undefined for a missing value or null: `parse` has messages for those. */
const notAnInteger = ({ input }: { readonly input?: unknown }) =>
  input == null ? undefined : NOT_AN_INTEGER

/** Text that Postgres can store: without NUL and without unpaired surrogates. */
export const storable = z
  .string()
  .refine((value) => !value.includes('\0'), 'Null characters are not allowed.')
  .refine((value) => !/\p{Surrogate}/u.test(value), 'Surrogate characters are not allowed.')

/** Maximum length of texts whose columns have no limit. */
const MAX_TEXT = 20_000
/** Maximum length of a URL. */
const MAX_URL = 2_000

/**
 * Maximum length of a text of a staff profile. It bounds the public list, which contains two texts of up to
 * 100 profiles.
 */
export const MAX_PROFILE_TEXT = 10_000

/**
 * Creates a check for a maximum length in code points, as in Postgres and JSON Schema. If it fails,
 * later checks are skipped, so that no check runs on a text of unbounded length.
 */
export function atMost(max: number) {
  const check = z.check<string>(({ value, issues }) => {
    if (value.length <= max || (value.length <= 2 * max && [...value].length <= max)) return
    const message = `Ensure this field has no more than ${max} characters.`
    issues.push({ code: 'custom', input: value, message, continue: false })
  })
  // Becomes `maxLength` in the OpenAPI document.
  const { _zod: internals } = check
  internals.onattach.push(({ _zod: { bag } }) => {
    bag['maximum'] = max
  })
  return check
}

/** Trimmed text of at most `max` characters. */
export const text = (max = MAX_TEXT) => storable.trim().check(atMost(max))

/** A short name for URLs. */
export const slug = text(50).regex(
  /^[-\w]*$/,
  'Enter a valid slug consisting of letters, numbers, underscores or hyphens.',
)

/** A user name, normalized as in Django's forms: a log-in searches for the normalized name. */
export const username = text(150)
  .min(1)
  .normalize('NFKC')
  .regex(
    /^[\p{L}\p{N}_.@+-]*$/u,
    'Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.',
  )

/** An e-mail address, or an empty text for none. */
export const email = text(254).refine(
  (value) => value === '' || z.regexes.email.test(value),
  'Enter a valid email address.',
)

/** A calendar date, such as `2026-02-28`; Postgres has no year 0. */
export const date = z.iso
  .date('Date has wrong format. Use one of these formats instead: YYYY-MM-DD.')
  .refine((value) => !value.startsWith('0000'), 'There is no year 0.')

/** A 32-bit integer of at least `min`. */
export const integer = (min: number) =>
  z
    .int({ error: notAnInteger })
    .min(min, `Ensure this value is greater than or equal to ${min}.`)
    .max(MAX_INTEGER, `Ensure this value is less than or equal to ${MAX_INTEGER}.`)

/** A 32-bit integer of at least `min`, as a number or, in a form, as text. */
export const integerOrText = (min: number) =>
  z.preprocess(
    (sent) => (typeof sent === 'string' && /^\d{1,10}$/.test(sent) ? Number(sent) : sent),
    integer(min),
  )

/** The id of another row, as decimal text without leading zeros. */
export const reference = z
  .union(
    [
      z.int(NOT_AN_INTEGER).nonnegative(NOT_AN_INTEGER),
      z.string().regex(/^\d{1,19}$/, NOT_AN_INTEGER),
    ],
    { error: notAnInteger },
  )
  .transform(BigInt)
  .refine((id) => id <= MAX_ID, {
    error: ({ input }) => `Invalid pk "${String(input)}" - object does not exist.`,
  })
  .transform(String)

/** A file in a form, or the URL of a stored one. */
export const fileOrUrl = z
  .custom<UploadedFile | string>(
    (value) =>
      value instanceof UploadedFile || (typeof value === 'string' && value.length <= MAX_URL),
    'The submitted data was not a file.',
  )
  .meta({
    override: { type: 'string', format: 'binary', maxLength: MAX_URL },
    description:
      'A JPEG or PNG file in a form. A text, such as the URL of the present image, keeps that image.',
  })

/** A file in a form. */
export const file = z
  .instanceof(UploadedFile, { error: 'The submitted data was not a file.' })
  .meta({
    override: { type: 'string', format: 'binary' },
    description: 'A JPEG or PNG file in a form.',
  })

/** A list of at most `max` items. */
export const listOf = <S extends z.ZodType>(item: S, max: number) =>
  z.array(item).max(max, `Ensure this list has no more than ${max} items.`)

const MAX_AREAS = 1_000

/** Distinct ids of areas on the map. */
export const areaIds = <S extends z.ZodType<number>>(id: S) =>
  listOf(id, MAX_AREAS).refine(
    (ids) => new Set(ids).size === ids.length,
    'Duplicate areas are not allowed.',
  )

const isObject = (body: unknown): body is object =>
  typeof body === 'object' && body !== null && !Array.isArray(body)

const ignoring =
  (...ignored: readonly unknown[]) =>
  <S extends z.ZodType>(schema: S) =>
    z.preprocess(
      (body) =>
        isObject(body)
          ? Object.fromEntries(Object.entries(body).filter(([, value]) => !ignored.includes(value)))
          : body,
      schema,
    )

/**
 * An object in which null is treated like a field that was not sent, for updates that cannot clear
 * values.
 */
export const ignoringNulls = ignoring(null)

/** An object in which null and an empty text are treated like a field that was not sent. */
export const ignoringBlanks = ignoring(null, '')

/**
 * An object whose fields may have alternative names, which some clients use. `names` maps the alternative
 * names to the fields.
 */
export const alsoNamed = <S extends z.ZodType>(
  names: Readonly<Record<string, string>>,
  schema: S,
) =>
  z.preprocess(
    (body) =>
      isObject(body)
        ? Object.fromEntries(
            Object.entries(body).map(([name, value]) => [names[name] ?? name, value]),
          )
        : body,
    schema,
  )
