import { isCommonPassword } from './common-passwords.ts'

/** Attributes of a user that the password must not resemble. */
export interface UserAttributes {
  readonly username: string
  readonly firstName: string | null
  readonly lastName: string | null
  readonly email: string | null
}

const MIN_LENGTH = 8
const MAX_SIMILARITY = 0.7
/** A password that is so many times longer than an attribute is not compared with it. */
const LENGTH_RATIO = 10

/**
 * Checks a password as Django's four default validators do: similarity to the user, length, common
 * passwords, digits only. Returns Django's messages in Django's order; none for an acceptable password.
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

/** Returns the name of the first attribute that is too similar. */
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

/** Returns the ratio of shared characters, in any order (Python's `SequenceMatcher.quick_ratio`). */
function similarity(one: string, other: string): number {
  const unmatched = new Map<string, number>()
  for (const character of other) unmatched.set(character, (unmatched.get(character) ?? 0) + 1)
  let shared = 0
  for (const character of one) {
    const count = unmatched.get(character) ?? 0
    if (count === 0) continue
    unmatched.set(character, count - 1)
    shared++
  }
  const total = lengthOf(one) + lengthOf(other)
  return total === 0 ? 1 : (2 * shared) / total
}

/** Returns the length in code points, as Python does. */
const lengthOf = (text: string) => [...text].length
