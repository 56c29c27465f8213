import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { createSessions } from '../../api/session/session.ts'
import { createMediaRoot, FORM_TYPE, formOf, type MediaRoot, pngOf } from '../files/media.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { startSystem, type System, SYSTEM_SECRET } from '../support/system.ts'
import { until } from '../support/until.ts'

const WORLD = new URL('../routes/world.sql', import.meta.url)

/** Returns the avatar in a user, in a profile, or in the first row of a page. */
function avatarIn(body: Body): string | null | undefined {
  const rows = Object.values(body).find((value): value is Body[] => Array.isArray(value))
  if (body.image !== undefined) return body.image
  if (body.avatar !== undefined) return body.avatar && body.avatar.file
  return rows?.[0]?.image
}

interface Body {
  readonly image?: string | null
  readonly avatar?: { readonly file: string } | null
  readonly [rows: string]: unknown
}

describe('avatars in cached responses', function () {
  this.timeout(60_000)
  let media: MediaRoot
  let system: System

  before(async () => {
    media = await createMediaRoot()
    system = await startSystem({
      world: await readFile(WORLD, 'utf8'),
      apiEnv: { MEDIA_ROOT: media.path },
    })
  })
  after(async () => {
    await system[Symbol.asyncDispose]()
    await media[Symbol.asyncDispose]()
  })

  const headersOf = async (id: number) =>
    sessionHeaders(await createSessions([SYSTEM_SECRET]).issue(String(id), `hash-${id}`))

  /** Returns the avatar of user 1 in each cached response that shows it, and the outcomes of the cache. */
  async function read(more: Record<string, string> = {}) {
    const headers = { ...(await headersOf(2)), ...more }
    const own = { ...(await headersOf(1)), ...more }
    const answers = [
      await system.get('users/1', headers),
      await system.get('users/me', own),
      await system.get('users/staffprofiles', headers),
      await system.get('users/staffprofiles/41', more),
    ]
    return {
      caches: answers.map(({ cache }) => cache),
      images: answers.map(({ text }) => avatarIn(JSON.parse(text))),
    }
  }

  const untilHit = () => until(async () => (await read()).caches.every((cache) => cache === 'hit'))

  it('follow an upload at the next request of the client that sends its token', async () => {
    await untilHit()
    const response = await fetch(`${system.apis[0]}/api/v1/users/1/profile`, {
      method: 'PUT',
      headers: { ...(await headersOf(1)), 'Content-Type': FORM_TYPE },
      body: new Uint8Array(
        formOf([
          {
            name: 'image',
            filename: 'a.png',
            content: await pngOf({ width: 9, height: 9 }),
          },
        ]),
      ),
    })
    expect(response.status).to.equal(200)
    const token = response.headers.get('consistency-token') ?? ''
    const { images } = await read({ 'Consistency-Token': token })
    const [stored] = await media.list()
    expect(images).to.deep.equal(Array.from({ length: 4 }, () => `/files/${stored}`))
  })

  it('follow changes by SQL, as Django makes them', async () => {
    for (const [change, image] of [
      [
        `insert into medias_useravatar (user_id, file, size, created_at, updated_at)
         values (1, 'user_avatars/first.png', 1, now(), now())
         on conflict (user_id) do update set file = excluded.file`,
        '/files/user_avatars/first.png',
      ],
      [
        `update medias_useravatar set file = 'user_avatars/second.png' where user_id = 1`,
        '/files/user_avatars/second.png',
      ],
      ['delete from medias_useravatar where user_id = 1', null],
    ] as const) {
      await untilHit()
      await system.sql.query(change)
      // The next request after the invalidation, which takes some milliseconds, shows the change.
      await until(async () => (await read()).images.every((seen) => seen === image))
    }
  })
})
