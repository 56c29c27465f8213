import { type AccessRow, KINDS, type Kind } from './probe.ts'

const KIND_NAMES = Object.keys(KINDS) as Kind[]

/** Returns docs/access.md: the answer of each operation to each kind of user. */
export function describeAccess(rows: readonly AccessRow[]): string {
  return [
    '# Access',
    '',
    'The answer of every operation to each kind of user. `npm run docs` sends the requests and writes this page;',
    'a test sends them too and compares.',
    '',
    '- **yes**: access is given. The request may still be invalid (400) or conflict (409).',
    '- **401**: no session. **403**: the user has no right to it. **404**: it does not exist, or the user may not know of it.',
    '',
    'A write decides about access before it validates the body. Where one user gets 403 for an existing row and 404 for',
    'a missing one, a read shows that user the existing row.',
    '',
    '| kind | |',
    '| --- | --- |',
    '| anonymous | no session |',
    '| user | logged in, without any of the relations below |',
    '| member | a member of the project that the request names |',
    '| leader | a leader of that project |',
    '| owner | the user that the request names, or whose staff profile it names |',
    '| requester | the user who made the request to administrators (`caretaker, requested by the covered user`: the covered user) |',
    '| covered | the user for whom a caretaker acts, or is requested to act |',
    '| caretaker | the user who acts for the covered user, or is requested to |',
    '| staff | a user with `is_staff`, without any of these relations |',
    '| superuser | a user with `is_superuser` |',
    '',
    `| operation | of | ${KIND_NAMES.join(' | ')} |`,
    `| --- | --- |${' --- |'.repeat(KIND_NAMES.length)}`,
    ...rows.map(({ method, path, target, access }) => {
      const cells = KIND_NAMES.map((kind) => access[kind])
      return `| \`${method} ${path}\` | ${target} | ${cells.join(' | ')} |`
    }),
    '',
  ].join('\n')
}
