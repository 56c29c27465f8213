import { type Expression, sql } from 'kysely'

interface Numbered {
  readonly kind: Expression<string | null>
  readonly year: Expression<number>
  readonly number: Expression<number>
}

/** Returns the tag of a project, such as `SP-2026-42`. */
export const projectTag = ({ kind, year, number }: Numbered) => sql<string>`case ${kind}
  when 'core_function' then 'CF'
  when 'science' then 'SP'
  when 'student' then 'STP'
  when 'external' then 'EXT'
  else 'UNKNOWN'
end || '-' || ${year} || '-' || ${number}`
