import type { Row } from '../support/tables.ts'

type Id = Row[string] | undefined

/** A chain with one more user, and the relation of that user to the next. */
interface Longer {
  readonly chain: readonly Id[]
  readonly relation: Row
}

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

  /** Returns the first user of a chain, with the relation to the second. */
  const node = ({ chain: [id], relation }: Longer): Row => ({
    ...person(id),
    id: id ?? null,
    caretaker_obj_id: relation['id'] ?? null,
    end_date: utc(relation['end_date']),
  })

  function above(chain: readonly Id[]): object[] {
    return next(chain, 'user_id', 'caretaker_id').map((longer) => ({
      ...node(longer),
      caretakers: above(longer.chain),
    }))
  }

  function below(chain: readonly Id[]): object[] {
    return next(chain, 'caretaker_id', 'user_id').map((longer) => ({
      ...node(longer),
      caretakers: above(longer.chain),
      caretaking_for: below(longer.chain),
    }))
  }

  /** Returns the chains with one more user, which comes first. */
  function next(chain: readonly Id[], from: string, to: string): Longer[] {
    if (chain.length > 5) return []
    return active
      .filter((row) => row[from] === chain[0] && !chain.includes(row[to]))
      .map((relation) => ({ chain: [relation[to], ...chain], relation }))
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
