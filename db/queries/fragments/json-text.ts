import { type Expression, sql } from 'kysely'

/**
 * Returns JSON as text. `json_agg` separates items by a line break with spaces. JSON strings contain no line
 * break that is not escaped, so replacing the separator changes no string.
 */
export const jsonText = <Text extends string | null = string>(json: Expression<unknown>) =>
  sql<Text>`replace(${json}::text, E', \\n ', ',')`
