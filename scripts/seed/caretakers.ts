import type { People } from './people.ts'
import { words } from './prose.ts'
import { createRandom, type Random } from './random.ts'
import type { Rows } from './rows.ts'
import type { Size } from './size.ts'
import { moment, stamps } from './time.ts'

const GROUP = 4
// Pairs of user and caretaker within four people: a chain, a circle, two pairs, three caretakers of one user.
const PATTERNS = [
  [
    [0, 1],
    [1, 2],
    [2, 3],
  ],
  [
    [0, 1],
    [1, 2],
    [2, 0],
  ],
  [
    [0, 1],
    [2, 3],
  ],
  [
    [0, 1],
    [0, 2],
    [0, 3],
  ],
] as const

/** Adds caretakers. Each one has ended, ends in decades, or never ends, so that the data does not age. */
export function addCaretakers(rows: Rows, size: Size, { staff, printed }: People): void {
  const random = createRandom('caretakers')
  const colleagues = staff.slice(printed.length)
  const people = random.sample(colleagues, colleagues.length)
  let left = size.caretakers
  // The printed users request a caretaker and have none. Each acts for a colleague.
  for (const caretaker of printed) {
    const user = people.pop()
    if (user === undefined || left === 0) return
    rows.add('caretakers_caretaker', {
      ...stamps(random, 1_200),
      user_id: user,
      caretaker_id: caretaker,
      end_date: null,
      reason: 'leave',
      notes: null,
    })
    left--
  }
  for (let group = 0; left > 0; group++) {
    const members = people.slice(group * GROUP, (group + 1) * GROUP)
    const pattern = PATTERNS[group % PATTERNS.length] ?? []
    for (const [covered, covering] of pattern.slice(0, left)) {
      const [user, caretaker] = [members[covered], members[covering]]
      if (user === undefined || caretaker === undefined) return
      // The first group of each pattern is complete.
      const isExpired = group >= PATTERNS.length && random.chance(0.4)
      rows.add('caretakers_caretaker', {
        ...stamps(random, 1_200),
        user_id: user,
        caretaker_id: caretaker,
        end_date: isExpired ? moment(random, 1_000, 10) : neverOrInDecades(random),
        reason: random.pick(['leave', 'resignation', 'other']),
        notes: random.chance(0.3) ? words(random, 120) : null,
      })
      left--
    }
  }
}

const neverOrInDecades = (random: Random) =>
  random.chance(0.5) ? moment(random, -18_000, -11_000) : null
