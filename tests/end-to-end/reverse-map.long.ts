import { expect } from 'chai'
import type { ResourceRules, Rule } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'
import { agencyChanges } from './reverse-map/agency-changes.ts'
import type { Change } from './reverse-map/change.ts'
import { compare, type Difference, findWrong } from './reverse-map/effect.ts'
import { projectChanges } from './reverse-map/project-changes.ts'
import { userChanges } from './reverse-map/user-changes.ts'
import { startWarmSystem, type WarmSystem } from './warm/warm-system.ts'

const AS_LISTED: Difference = { tooMany: [], tooFew: [], unchanged: [], changed: [], cold: [] }

describe('the reverse map from changes by SQL to invalidated entries', function () {
  this.timeout(60_000)
  let system: WarmSystem
  before(async () => {
    system = await startWarmSystem()
  })
  after(() => system[Symbol.asyncDispose]())

  for (const change of [...projectChanges, ...userChanges, ...agencyChanges]) {
    it(`invalidates exactly the listed entries after '${change.what}'`, async () => {
      expect(await compare(system, change)).to.deep.equal(AS_LISTED)
    })
  }

  it('contains every resource and every watched table', () => {
    const all = [...projectChanges, ...userChanges, ...agencyChanges]
    const resources = new Set(all.flatMap(({ stale }) => Object.keys(stale)))
    // The lists of tasks depend on nearly every table; the mutation test changes all of their columns.
    const listed = catalog.filter(({ name }) => name !== 'user:tasks')
    expect([...resources]).to.have.members(listed.map(({ name }) => name))
    const tables = new Set(listed.flatMap(({ staleWhen }) => staleWhen.map(({ table }) => table)))
    const missing = [...tables].filter(
      (table) => !all.some(({ sql }) => sql.split(/[^\w.]+/).includes(table)),
    )
    expect(missing).to.deep.equal([])
  })

  it('leaves no cached answer that differs from the database', async () => {
    expect(await findWrong(system)).to.deep.equal([])
  })

  describe('the comparison with the reverse map', () => {
    afterEach(() => system.follow(catalog))

    const described: Change = {
      what: 'a description',
      sql: `update projects_externalprojectdetails set description = description || '!'
            where project_id = 212`,
      stale: {
        'project:detail': 'select 212',
        'user:projects': 'select unnest(array[12, 13])',
        'staff:projects': 'select unnest(array[12, 13])',
      },
    }

    it('detects entries that a missing rule leaves cached', async () => {
      // Rules of other resources watch the same column, so the triggers do not change.
      await system.follow(
        withRules('user:projects', (rules) =>
          rules.filter(({ table }) => table !== 'projects_externalprojectdetails'),
        ),
      )
      const effect = await compare(system, described)
      expect(effect).to.deep.equal({
        ...AS_LISTED,
        tooFew: ['user:projects 12', 'user:projects 13'],
      })
    })

    it('detects entries that a too broad rule invalidates', async () => {
      const everybody: Rule = {
        table: 'projects_externalprojectdetails',
        watch: ['description'],
        from: ['project_id'],
        query: `select unnest(array['1', '2']) as user_id where $1::text[] is not null`,
      }
      await system.follow(withRules('user:me', (rules) => [...rules, everybody]))
      const effect = await compare(system, described)
      expect(effect).to.deep.equal({ ...AS_LISTED, tooMany: ['user:me 1', 'user:me 2'] })
    })

    it('detects entries that are listed as stale but do not show the change', async () => {
      const effect = await compare(system, {
        what: 'a description that the kind of the project does not show',
        sql: `update projects_externalprojectdetails set description = 'Unseen still'
              where project_id = 202`,
        stale: { 'project:detail': 'select 202', 'user:projects': 'select unnest(array[2, 3])' },
        coarser: {
          because: 'a rule does not check the kind of the project',
          stale: { 'staff:projects': 'select unnest(array[2, 3])' },
        },
      })
      expect(effect).to.deep.equal({
        ...AS_LISTED,
        unchanged: ['user:projects 2', 'user:projects 3'],
      })
    })

    it('detects entries that are listed as coarser but show the change', async () => {
      const { stale, ...change } = described
      const effect = await compare(system, {
        ...change,
        stale: {},
        coarser: { because: 'the list is wrong', stale },
      })
      expect(effect.changed).to.have.members([
        'project:detail 212',
        ...[12, 13].flatMap((id) => [`user:projects ${id}`, `staff:projects ${id}`]),
      ])
    })
  })
})

/** Returns the catalog with changed rules of one resource. */
const withRules = (
  name: string,
  change: (rules: readonly Rule[]) => readonly Rule[],
): ResourceRules[] =>
  catalog.map((resource) =>
    resource.name === name ? { ...resource, staleWhen: change(resource.staleWhen) } : resource,
  )
