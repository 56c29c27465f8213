import { expect } from 'chai'
import { overrideTtls } from '../../api/override-ttls.ts'
import { TimeBudget } from '../../shared/cache/index.ts'
import { branches, staffList } from '../../shared/resources/index.ts'
import type { Reader } from '../../shared/resources/cache.ts'

describe('overrideTtls', () => {
  it('changes the TTL of the listed resources only', async () => {
    const seen: Record<string, number> = {}
    const reader: Reader = {
      openBudget: () => new TimeBudget(0),
      query: () => Promise.reject(new Error('not asked for')),
      async read({ name, ttlMs }) {
        seen[name] = ttlMs
        return { outcome: 'miss', body: null, etag: '', ageMs: 0, ttlMs }
      },
    }
    const overridden = overrideTtls(reader, new Map([[staffList.name, 5_000]]))
    await overridden.read(staffList, {}, 'page')
    await overridden.read(branches, {}, 'all')
    expect(seen).to.deep.equal({ [staffList.name]: 5_000, [branches.name]: branches.ttlMs })
  })
})
