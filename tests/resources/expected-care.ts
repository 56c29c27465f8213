import type { Row } from '../support/tables.ts'

type Id = Row[string] | undefined

/**
 * Returns the caretakers of a user and the users for whom the user acts, from all rows of
 * `caretakers_caretaker` ordered by id. Chains have at most five relations and contain no user
 * twice. `person` returns the other fields of a user.
 */
export function expectedCare(rows: readonly Row[], userId: Id, person: (id: Id) => Row) {
  const now = Date.now()
  const active = rows.filter(
    ({ end_date }) => typeof end_date !== 'string' || Date.parse(end_date) > now,
  )

  function node(id: Id): Row {
    const first = rows.find(({ user_id }) => user_id === id)
    return {
      ...person(id),
      id: id ?? null,
      caretaker_obj_id: first?.['id'] ?? null,
      end_date: utc(first?.['end_date']),
    }
  }

  function above(chain: readonly Id[]): object[] {
    return next(chain, 'user_id', 'caretaker_id').map((longer) => ({
      ...node(longer[0]),
      caretakers: above(longer),
    }))
  }

  function below(chain: readonly Id[]): object[] {
    return next(chain, 'caretaker_id', 'user_id').map((longer) => ({
      ...node(longer[0]),
      caretakers: above(longer),
      caretaking_for: below(longer),
    }))
  }

  /** Returns the chains with one more user, which comes first. */
  function next(chain: readonly Id[], from: string, to: string): Id[][] {
    if (chain.length > 5) return []
    return active
      .filter((row) => row[from] === chain[0] && !chain.includes(row[to]))
      .map((row) => [row[to], ...chain])
  }

  return { caretakers: above([userId]), caretaking_for: below([userId]) }
}

/** Formats an instant in UTC. */
function utc(instant: Id): string | null {
  if (typeof instant !== 'string') return null
  const [, fraction = ''] = /\.(\d+)/.exec(instant) ?? []
  const whole = new Date(instant.replace(/\.\d+/, '')).toISOString().slice(0, 19)
  return `${whole}${fraction && `.${fraction.padEnd(6, '0')}`}Z`
}
