import { type Expression, sql } from 'kysely'

/**
 * Returns ids with their position in the array, for a join that keeps their order:
 * `.innerJoin(listed(ids), 'listed.id', 'project.id').orderBy('listed.position')`.
 */
export const listed = (ids: Expression<readonly string[]>) =>
  sql<{ id: string; position: string }>`unnest(${ids}) with ordinality`.as<'listed'>(
    sql`listed(id, position)`,
  )
