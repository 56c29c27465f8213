import { expect } from 'chai'
import type { ResourceRules } from '../../shared/cache/resource.ts'
import type { Rule } from '../../shared/cache/rule.ts'
import { catalog } from '../../shared/resources/index.ts'
import { agencyChanges } from './reverse-map/agency-changes.ts'
import type { Change } from './reverse-map/change.ts'
import { compare, type Difference, findWrong } from './reverse-map/effect.ts'
import { projectChanges } from './reverse-map/project-changes.ts'
import { userChanges } from './reverse-map/user-changes.ts'
import { startWarmSystem, type WarmSystem } from './warm/warm-system.ts'

const AS_LISTED: Difference = { tooMany: [], tooFew: [], unchanged: [], changed: [], cold: [] }

describe('the reverse map: what a change by SQL makes forgotten, and what everybody then sees', function () {
  this.timeout(60_000)
  let system: WarmSystem
  before(async () => {
    system = await startWarmSystem()
  })
  after(() => system[Symbol.asyncDispose]())

  for (const change of [...projectChanges, ...userChanges, ...agencyChanges]) {
    it(change.what, async () => {
      expect(await compare(system, change)).to.deep.equal(AS_LISTED)
    })
  }

  it('names every resource and every watched table', () => {
    const all = [...projectChanges, ...userChanges, ...agencyChanges]
    const resources = new Set(all.flatMap(({ stale }) => Object.keys(stale)))
    expect([...resources]).to.have.members(catalog.map(({ name }) => name))
    const tables = new Set(catalog.flatMap(({ staleWhen }) => staleWhen.map(({ table }) => table)))
    const unnamed = [...tables].filter(
      (table) => !all.some(({ sql }) => sql.split(/[^\w.]+/).includes(table)),
    )
    expect(unnamed).to.deep.equal([])
  })

  it('leaves no answer behind that differs from the database', async () => {
    expect(await findWrong(system)).to.deep.equal([])
  })

  describe('its check', () => {
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

    it('finds what a rule too few leaves', async () => {
      // Others watch the same, so the triggers stay as they are.
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

    it('finds what a rule too broad takes', async () => {
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

    it('finds what is listed as stale and shows nothing of the change', async () => {
      const effect = await compare(system, {
        what: 'a description that the kind of the project leaves out',
        sql: `update projects_externalprojectdetails set description = 'Unseen still'
              where project_id = 202`,
        stale: { 'project:detail': 'select 202', 'user:projects': 'select unnest(array[2, 3])' },
        coarser: {
          because: 'of the kind',
          stale: { 'staff:projects': 'select unnest(array[2, 3])' },
        },
      })
      expect(effect).to.deep.equal({
        ...AS_LISTED,
        unchanged: ['user:projects 2', 'user:projects 3'],
      })
    })

    it('finds what is listed as coarser and shows the change', async () => {
      const { stale, ...change } = described
      const effect = await compare(system, {
        ...change,
        stale: {},
        coarser: { because: 'nobody looked', stale },
      })
      expect(effect.changed).to.have.members([
        'project:detail 212',
        ...[12, 13].flatMap((id) => [`user:projects ${id}`, `staff:projects ${id}`]),
      ])
    })
  })
})

/** The catalog with the rules of one resource changed. */
const withRules = (
  name: string,
  change: (rules: readonly Rule[]) => readonly Rule[],
): ResourceRules[] =>
  catalog.map((resource) =>
    resource.name === name ? { ...resource, staleWhen: change(resource.staleWhen) } : resource,
  )
