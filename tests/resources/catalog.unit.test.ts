import { readdir } from 'node:fs/promises'
import { expect } from 'chai'
import { isLookup, paramsOf } from '../../shared/cache/index.ts'
import { catalog } from '../../shared/resources/index.ts'

const FOLDER = new URL('../../shared/resources/', import.meta.url)

describe('resource catalog', () => {
  it('contains every resource of its folder', async () => {
    const files = (await readdir(FOLDER)).filter((file) => file !== 'index.ts')
    const modules = await Promise.all(
      files.map((file): Promise<Record<string, unknown>> => import(new URL(file, FOLDER).href)),
    )
    const keys = modules.flatMap((exports) => Object.values(exports).flatMap(keyOf))
    expect(keys).to.have.members(catalog.map(({ key }) => key))
  })

  it('has a unique name and a unique key for each resource', () => {
    expect(new Set(catalog.map(({ name }) => name)).size).to.equal(catalog.length)
    expect(new Set(catalog.map(({ key }) => key)).size).to.equal(catalog.length)
  })

  it('has lookups that return the parameters of their resource', () => {
    for (const { name, staleWhen, ...resource } of catalog) {
      for (const { query, table } of staleWhen.filter(isLookup)) {
        for (const param of paramsOf(resource)) {
          expect(query, `${name}, rule on ${table}`).to.include(` as ${param} `)
        }
      }
    }
  })
})

const keyOf = (value: unknown) =>
  typeof value === 'object' && value !== null && 'staleWhen' in value && 'key' in value
    ? [value.key]
    : []
