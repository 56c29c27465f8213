import { expect } from 'chai'
import { openDatabase } from '../../db/database.ts'
import { catalog, userProjects } from '../../shared/resources/index.ts'
import { unwatchedTables } from '../support/closure.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { buildDenseWorld, worldEntries } from './dense-world.ts'

describe('rules of resources', () => {
  let database: TestDatabase

  before(async () => {
    database = await createTestDatabase({ installed: true })
    const db = openDatabase({ url: database.url, poolSize: 1, applicationName: 'closure' })
    await buildDenseWorld(db)
    await db.destroy()
  })

  after(() => database[Symbol.asyncDispose]())

  it('are checked for every resource of the catalog', () => {
    expect(worldEntries.map(({ resource }) => resource.name)).to.have.members(
      catalog.map(({ name }) => name),
    )
  })

  for (const { resource, examples } of worldEntries) {
    it(`of ${resource.name} watch every table that it reads`, async () => {
      expect(await unwatchedTables(database.url, resource, examples)).to.deep.equal([])
    })
  }

  it('fail this check if the rules for one table are removed', async () => {
    const { examples = [] } = worldEntries.find(({ resource }) => resource === userProjects) ?? {}
    for (const table of new Set(userProjects.staleWhen.map((rule) => rule.table))) {
      const resource = {
        ...userProjects,
        staleWhen: userProjects.staleWhen.filter((rule) => rule.table !== table),
      }
      expect(await unwatchedTables(database.url, resource, examples)).to.deep.equal([table])
    }
  })
})
