import { type Expression, sql } from 'kysely'

/**
 * Ids in an order of their own, to be joined:
 * `.innerJoin(listed(ids), 'listed.id', 'project.id').orderBy('listed.position')`.
 */
export const listed = (ids: Expression<readonly string[]>) =>
  sql<{ id: string; position: string }>`unnest(${ids}) with ordinality`.as<'listed'>(
    sql`listed(id, position)`,
  )
