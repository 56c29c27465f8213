import type { People } from './people.ts'
import { words } from './prose.ts'
import type { Project } from './projects.ts'
import { createRandom } from './random.ts'
import type { Rows } from './rows.ts'
import { moment, stamps } from './time.ts'

const DONE = ['approved', 'fulfilled', 'cancelled', 'rejected'] as const
const REQUESTS_PER_KIND = 15

/** Adds requests to the administrators. A project with a requested deletion has a pending task. */
export function addTasks(
  rows: Rows,
  { staff, printed }: People,
  projects: readonly Project[],
): void {
  const random = createRandom('tasks')
  const colleagues = staff.slice(printed.length)
  const common = () => ({
    ...stamps(random, 400),
    requester_id: random.pick(staff),
    reason: random.chance(0.8) ? words(random, 100) : null,
    notes: random.chance(0.1) ? words(random, 60) : null,
  })
  const noUsers = { primary_user_id: null, secondary_users: null, end_date: null }

  for (const { id, deletionRequested, leader } of projects) {
    if (!deletionRequested && !random.chance(0.01)) continue
    rows.add('adminoptions_admintask', {
      ...common(),
      ...noUsers,
      ...(leader !== undefined && { requester_id: leader }),
      action: 'deleteproject',
      status: deletionRequested ? 'pending' : random.pick(['cancelled', 'rejected']),
      project_id: id,
    })
  }
  const addPending = (action: string, requester: number, primary: number, others: number[]) =>
    rows.add('adminoptions_admintask', {
      ...common(),
      ...noUsers,
      requester_id: requester,
      action,
      status: 'pending',
      project_id: null,
      primary_user_id: primary,
      secondary_users: others,
    })
  for (const user of printed) {
    const [duplicate, double, covered, caretaker] = random.sample(colleagues, 4)
    if (!duplicate || !double || !covered || !caretaker) break
    addPending('mergeuser', user, duplicate, [double])
    addPending('setcaretaker', user, user, [caretaker])
    addPending('setcaretaker', covered, covered, [user])
  }
  for (const action of ['mergeuser', 'setcaretaker']) {
    for (const primary of random.sample(colleagues, REQUESTS_PER_KIND)) {
      const isMerge = action === 'mergeuser'
      const isPending = random.chance(0.4)
      const others = colleagues.filter((user) => user !== primary)
      rows.add('adminoptions_admintask', {
        ...common(),
        action,
        status: isPending ? 'pending' : random.pick(DONE),
        project_id: null,
        primary_user_id: primary,
        secondary_users: random.sample(others, isMerge ? random.int(1, 3) : 1),
        end_date: isMerge || isPending ? null : moment(random, 600, 10),
      })
    }
  }
  for (const user of random.sample(staff, REQUESTS_PER_KIND)) {
    rows.add('users_doipublication', {
      ...stamps(random),
      user_id: user,
      doi: `10.5555/spms.${random.int(1_000, 9_999)}`,
    })
  }
}
