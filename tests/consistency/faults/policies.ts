import type { Fault, Scene } from './fault.ts'
import { change } from './schema.ts'

/** Tables through which changes of others lead to entries. */
const TABLES = ['users_userwork', 'projects_projectmember', 'users_publicstaffprofile'] as const

/**
 * Policies by which the invalidator sees fewer rows than there are, while the API sees all: what
 * answers show does not change, and what they are made of may not be found.
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
