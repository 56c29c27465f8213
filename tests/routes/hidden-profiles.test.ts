import { expect } from 'chai'
import { sql } from 'kysely'
import { mountedRoutes } from '../support/mounted-routes.ts'
import { startTestApi, type TestApi } from './test-api.ts'

// Mel's profile 42 is hidden. Lea leads a project with Mel, who acts for Lea; Sue is a superuser.
const [LEA, MEL, SUE] = [1, 2, 3]
const MARK = 'Zq-hidden'
/** Ids of Mel and of rows that belong to Mel: user, profile, employment, education, projects. */
const IDS = ['2', '42', '44', '49', '51', '52']
const PAIRS = ['51/2', '52/2']
const AT_ONCE = 8
const QUERIES = [
  '',
  `?search=${MARK}`,
  `?searchTerm=${MARK}`,
  '?search=Mel',
  '?searchTerm=Mel',
  '?selected_user=2',
  '?business_area=31',
  '?page_size=100',
]

describe('a hidden staff profile', function () {
  this.timeout(60_000)
  let api: TestApi

  before(async () => {
    api = await startTestApi()
    await api.reset()
    await sql
      .raw(
        `update users_publicstaffprofile
           set about = '${MARK}', expertise = '${MARK}', title = '${MARK}', custom_title = '${MARK}',
             custom_title_on = true, public_email = '${MARK}@spms.test', public_email_on = true
           where id = 42;
         update users_employmententry
           set position_title = '${MARK}', section = '${MARK}', employer = '${MARK}' where id = 44;
         insert into users_educationentry
           (id, public_profile_id, qualification_name, end_year, institution, location)
           values (49, 42, '${MARK}', 2000, '${MARK}', '${MARK}');
         insert into users_keywordtag (id, name) values (91, '${MARK}');
         insert into users_publicstaffprofile_keyword_tags (id, publicstaffprofile_id, keywordtag_id)
           values (92, 42, 91);`,
      )
      .execute(api.db)
  })
  after(() => api[Symbol.asyncDispose]())

  const reads = () =>
    mountedRoutes(api.app)
      .filter(({ method, path }) => method === 'get' && path.startsWith('/api/v1/'))
      .flatMap(({ path }) => pathsOf(path))

  /** Returns the paths whose answer to a user contains a field of the profile. */
  async function shownTo(as: number | undefined): Promise<string[]> {
    const shown = new Set<string>()
    const left = reads()
    const work = async () => {
      for (let path = left.pop(); path !== undefined; path = left.pop()) {
        const { body } = await api.send('GET', path, as ? { as } : {})
        if (JSON.stringify(body).includes(MARK)) shown.add(path.split('?')[0] ?? '')
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    return [...shown].toSorted()
  }

  it('shows none of its fields to other users in any answer, list or search', async () => {
    for (const as of [undefined, LEA]) expect(await shownTo(as)).to.deep.equal([])
  })

  it('shows its fields to its owner and superusers', async () => {
    const profile = [
      '/api/v1/users/2',
      '/api/v1/users/2/check_staff_profile',
      '/api/v1/users/education_entries/49',
      '/api/v1/users/employment_entries/44',
      '/api/v1/users/profiles/42/education_entries',
      '/api/v1/users/profiles/42/employment_entries',
      '/api/v1/users/staffprofiles/42',
      '/api/v1/users/staffprofiles/42/cv',
      '/api/v1/users/staffprofiles/42/hero',
      '/api/v1/users/staffprofiles/42/overview',
    ]
    expect(await shownTo(SUE)).to.include.members(profile)
    expect(await shownTo(MEL)).to.include.members([
      ...profile,
      '/api/v1/users/me',
      '/api/v1/users/mypublicprofile',
    ])
  })
})

function pathsOf(path: string): string[] {
  if (path.endsWith('/check_staff_profile')) return [`${path.replace(/:\w+/, '2')}?user_id=2`]
  if (!path.includes(':')) return QUERIES.map((query) => `${path}${query}`)
  if (/:\w+.*:\w+/.test(path)) return PAIRS.map((pair) => path.replace(/:\w+\/:\w+/, pair))
  return IDS.map((id) => path.replace(/:\w+/, id))
}
