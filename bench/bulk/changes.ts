/** One statement that changes many rows of a watched table in its own transaction. */
export interface Change {
  readonly name: string
  readonly text: (rows: number) => string
  /** Value of the setting `invalidation.mode`; `coarse` makes the triggers cheaper. */
  readonly mode?: 'coarse'
}

/** Name of the change that requires the role pg_execute_server_program. */
export const COPY = 'copy'

/** Ordered so that each change finds the rows that it needs. */
export const CHANGES: readonly Change[] = [
  {
    name: 'insert',
    text: (
      rows,
    ) => `insert into users_employmententry (public_profile_id, position_title, start_year)
      select 1, 'bench', 2000 + n % 20 from generate_series(1, ${rows}) n`,
  },
  {
    name: 'update',
    text: () => `update users_employmententry set position_title = position_title || '.'`,
  },
  {
    name: 'update, coarse mode',
    mode: 'coarse',
    text: () => `update users_employmententry set position_title = position_title || '.'`,
  },
  {
    name: 'delete',
    text: () => `delete from users_employmententry where position_title like 'bench%'`,
  },
  {
    name: COPY,
    text: (rows) => `copy users_employmententry (public_profile_id, position_title, start_year)
      from program 'seq -f "1,bench %.0f,2000" ${rows}' with (format csv)`,
  },
  { name: 'truncate', text: () => 'truncate users_employmententry' },
]

/** The table is empty after a round, so its seeded rows are copied before and restored after each. */
export const KEEP_ROWS = 'create table bench_kept as table users_employmententry'
export const RESTORE_ROWS = 'insert into users_employmententry table bench_kept'
export const DROP_KEPT_ROWS = 'drop table bench_kept'
