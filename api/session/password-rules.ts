import { isCommonPassword } from './common-passwords.ts'

/** What a password must not be similar to. */
export interface UserAttributes {
  readonly username: string
  readonly firstName: string | null
  readonly lastName: string | null
  readonly email: string | null
}

const MIN_LENGTH = 8
const MAX_SIMILARITY = 0.7
/** A value is not compared when the password is so many times longer. */
const LENGTH_RATIO = 10

/**
 * The messages of the four validators that Django has by default, in its words and its order: similarity
 * to the user, length, the list of common passwords, digits alone. Empty for an acceptable password.
 */
export async function passwordProblems(
  password: string,
  user: UserAttributes,
): Promise<readonly string[]> {
  const problems: string[] = []
  const similar = similarAttribute(password, user)
  if (similar !== undefined) problems.push(`The password is too similar to the ${similar}.`)
  if (lengthOf(password) < MIN_LENGTH) {
    problems.push(`This password is too short. It must contain at least ${MIN_LENGTH} characters.`)
  }
  if (await isCommonPassword(password)) problems.push('This password is too common.')
  if (/^\p{Nd}+$/u.test(password)) problems.push('This password is entirely numeric.')
  return problems
}

/** The name of the first attribute that is too similar. */
function similarAttribute(password: string, user: UserAttributes): string | undefined {
  const attributes = [
    ['username', user.username],
    ['first name', user.firstName],
    ['last name', user.lastName],
    ['email address', user.email],
  ] as const
  const lower = password.toLowerCase()
  for (const [name, value] of attributes) {
    if (!value) continue
    const whole = value.toLowerCase()
    for (const part of [...whole.split(/[^\p{L}\p{N}_]+/u), whole]) {
      if (isTooShort(part, lower)) continue
      if (similarity(lower, part) >= MAX_SIMILARITY) return name
    }
  }
  return undefined
}

function isTooShort(part: string, password: string): boolean {
  const [length, bound] = [lengthOf(part), (MAX_SIMILARITY / 2) * lengthOf(password)]
  return lengthOf(password) >= LENGTH_RATIO * length && length < bound
}

/** The ratio of characters that two texts share, whatever their order (`SequenceMatcher.quick_ratio`). */
function similarity(one: string, other: string): number {
  const left = new Map<string, number>()
  for (const character of other) left.set(character, (left.get(character) ?? 0) + 1)
  let shared = 0
  for (const character of one) {
    const count = left.get(character) ?? 0
    if (count === 0) continue
    left.set(character, count - 1)
    shared++
  }
  const total = lengthOf(one) + lengthOf(other)
  return total === 0 ? 1 : (2 * shared) / total
}

/** In characters, as Python counts them. */
const lengthOf = (text: string) => [...text].length
