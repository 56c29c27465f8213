import { expect } from 'chai'
import { plainTag } from '../../api/http/encoding.ts'
import type { Reply } from '../support/system.ts'
import { until } from '../support/until.ts'
import { sessionOf } from './warm/questions.ts'
import { startWarmSystem, type WarmSystem } from './warm/warm-system.ts'

const SUPERUSER = 20

interface Write {
  readonly as: number
  readonly method: string
  readonly path: string
  readonly body?: object
}

describe('writes through the API, read through the cache', function () {
  this.timeout(60_000)
  let warm: WarmSystem
  before(async () => {
    warm = await startWarmSystem()
  })
  after(() => warm[Symbol.asyncDispose]())

  /** Returns no session for public profiles, since their owners get uncached answers. */
  const headersFor = async (path: string, as: number): Promise<Record<string, string>> =>
    path.includes('staffprofiles') ? {} : sessionOf(as)

  const read = async (path: string, as: number): Promise<Reply> =>
    warm.system.get(path, await headersFor(path, as))

  /** Reads until it is a cache hit, so that a later change must be invalidated to be visible. */
  const readWarm = async (path: string, as: number) => {
    await until(async () => (await read(path, as)).cache === 'hit')
    return read(path, as)
  }

  /** Sends a write. Returns its consistency token. */
  async function write({ as, method, path, body }: Write): Promise<string> {
    const response = await fetch(`${warm.system.apis[0]}/api/v1/${path}`, {
      method,
      headers: {
        ...(await sessionOf(as)),
        'Content-Type': 'application/json',
      },
      ...(body && { body: JSON.stringify(body) }),
    })
    expect(response.ok, `${method} ${path}: ${await response.text()}`).to.equal(true)
    const token = response.headers.get('consistency-token')
    expect(token).to.be.a('string')
    return token ?? ''
  }

  /** Writes of a user, and the paths whose answers show them. */
  const CHANGES: Readonly<Record<string, { write: Write; seen: readonly string[]; text: string }>> =
    {
      'a name': {
        write: {
          as: 3,
          method: 'PUT',
          path: 'users/3/pi',
          body: { display_first_name: 'Written' },
        },
        seen: ['users/3', 'users/me', 'users/staffprofiles/103/hero', 'projects/203'],
        text: 'Written',
      },
      'a membership': {
        write: { as: 3, method: 'PUT', path: 'users/3/membership', body: { role: 'Keeper' } },
        seen: ['users/3', 'users/me', 'users/staffprofiles/103'],
        text: 'Keeper',
      },
      'a profile text': {
        write: {
          as: 3,
          method: 'PUT',
          path: 'users/staffprofiles/103',
          body: { about: 'Of owls' },
        },
        seen: ['users/3', 'users/me', 'users/staffprofiles/103/hero', 'users/staffprofiles'],
        text: 'Of owls',
      },
      'a project': {
        write: { as: 3, method: 'PUT', path: 'projects/203', body: { title: 'Of owls again' } },
        seen: [
          'projects/203',
          'projects/mine',
          'users/3/projects',
          'users/3/projects_staff_profile',
        ],
        text: 'Of owls again',
      },
      'a new project': {
        write: {
          as: 3,
          method: 'POST',
          path: 'projects/list',
          body: { kind: 'science', title: 'Of new owls', projectLead: 3 },
        },
        seen: ['projects/mine', 'users/3/projects', 'users/3/projects_staff_profile'],
        text: 'Of new owls',
      },
    }

  for (const [what, { write: change, seen, text }] of Object.entries(CHANGES)) {
    it(`show ${what} to its author with a token at once, and to other clients once it is applied [T46]`, async () => {
      for (const path of seen) {
        expect((await readWarm(path, 3)).text, path).not.to.contain(text)
      }
      const token = await write(change)
      for (const path of seen) {
        const headers = { ...(await headersFor(path, 3)), 'Consistency-Token': token }
        expect((await warm.system.get(path, headers)).text, path).to.contain(text)
      }
      await warm.untilApplied()
      for (const path of seen) expect((await read(path, 3)).text, path).to.contain(text)
    })
  }

  it('have the same body and ETag on a hit as on the miss before [T47]', async () => {
    for (const path of ['users/4', 'projects/204', 'users/staffprofiles/104', 'users/me']) {
      await warm.invalidate()
      const miss = await read(path, 4)
      expect(miss.cache, path).to.equal('fwd=miss')
      const hit = await readWarm(path, 4)
      expect(hit.text, path).to.equal(miss.text)
      // Only a stored body is compressed, and each encoding has its own strong tag.
      const tags = [miss, hit].map(({ headers }) => plainTag(headers.get('etag') ?? ''))
      expect(tags[1], path).to.equal(tags[0])
    }
  })

  it('keep entries of other users cached [T48]', async () => {
    const others = ['users/9', 'users/9/projects', 'projects/209']
    for (const path of others) await readWarm(path, 16)
    await write({ as: 3, method: 'PUT', path: 'users/3/pi', body: { display_last_name: 'New' } })
    await warm.untilApplied()
    for (const path of others) expect((await read(path, 16)).cache, path).to.equal('hit')
  })

  it('show every write in the cached list of branches, and searches bypass it [T49]', async () => {
    const list = 'agencies/branches'
    expect((await readWarm(list, 4)).cache).to.equal('hit')
    const search = await read(`${list}?searchTerm=Branch`, 4)
    expect(search.headers.get('cache-status')).to.contain('fwd=bypass')

    const branch = { name: 'Albany', agency: 431 }
    await write({ as: SUPERUSER, method: 'POST', path: list, body: branch })
    await warm.untilApplied()
    const [made] = (
      JSON.parse((await read(list, 4)).text) as { id: number; name: string }[]
    ).filter(({ name }) => name === 'Albany')
    expect((await readWarm(list, 4)).text).to.contain('Albany')

    const path = `${list}/${made?.id}`
    await write({ as: SUPERUSER, method: 'PUT', path, body: { name: 'Broome' } })
    await warm.untilApplied()
    expect((await read(list, 4)).text)
      .to.contain('Broome')
      .and.not.to.contain('Albany')
    await readWarm(list, 4)
    await write({ as: SUPERUSER, method: 'DELETE', path })
    await warm.untilApplied()
    expect((await read(list, 4)).text).not.to.contain('Broome')
  })
})
