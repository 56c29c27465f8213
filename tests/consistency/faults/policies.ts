import type { Fault, Scene } from './fault.ts'
import { change } from './schema.ts'

/** Tables that lookups read to find the entries that a change affects. */
const TABLES = ['users_userwork', 'projects_projectmember', 'users_publicstaffprofile'] as const

/**
 * Row-level security that hides rows from the invalidator but not from the API. Answers stay the
 * same, but lookups may miss the affected entries.
 */
export const POLICY_FAULTS: readonly Fault[] = [
  policy('rows-hidden-from-the-invalidator', 'false'),
  policy('half-of-the-rows-hidden', 'id % 2 = 0'),
]

function policy(name: string, isVisible: string): Fault {
  return {
    name,
    takes: 'nothing',
    holdMs: 4_000,
    async inject(scene: Scene) {
      for (const table of TABLES) {
        await change(
          scene,
          `create policy checker_api on ${table} to spms_api using (true);
           create policy checker_invalidator on ${table} to spms_invalidator using (${isVisible});
           alter table ${table} enable row level security`,
        )
      }
      return async () => {
        for (const table of TABLES) {
          await change(
            scene,
            `alter table ${table} disable row level security;
             drop policy checker_api on ${table}; drop policy checker_invalidator on ${table}`,
          )
        }
      }
    },
  }
}
