import { type Expression, expressionBuilder, sql } from 'kysely'
import type { Database } from '../../schema.ts'

const eb = expressionBuilder<Database>()

/** Whether areas were chosen for a project; they need not exist any more. */
export const isLocated = (projectId: Expression<string>) =>
  eb.exists(
    eb
      .selectFrom('projects_projectarea as location')
      .select('location.id')
      .where('location.project_id', '=', projectId)
      .where((row) => sql<boolean>`cardinality(${row.ref('location.areas')}) > 0`),
  )
