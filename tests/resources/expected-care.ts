import type { Row } from '../support/tables.ts'

type Id = Row[string] | undefined

/**
 * Who acts for a user and for whom the user acts, from every row of `caretakers_caretaker` by id:
 * chains of five, which no person enters twice. `person` gives what else is shown of somebody.
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

  /** The chains one longer than this one, whose newest person comes first. */
  function next(chain: readonly Id[], from: string, to: string): Id[][] {
    if (chain.length > 5) return []
    return active
      .filter((row) => row[from] === chain[0] && !chain.includes(row[to]))
      .map((row) => [row[to], ...chain])
  }

  return { caretakers: above([userId]), caretaking_for: below([userId]) }
}

/** The same instant in UTC. */
function utc(instant: Id): string | null {
  if (typeof instant !== 'string') return null
  const [, fraction = ''] = /\.(\d+)/.exec(instant) ?? []
  const whole = new Date(instant.replace(/\.\d+/, '')).toISOString().slice(0, 19)
  return `${whole}${fraction && `.${fraction.padEnd(6, '0')}`}Z`
}
