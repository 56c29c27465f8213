import { expect } from 'chai'
import type { z } from 'zod'
import { affiliation, affiliationPage } from '../../shared/shapes/affiliation.ts'
import { agency, agencyDetail } from '../../shared/shapes/agency.ts'
import { area, areaDetail } from '../../shared/shapes/area.ts'
import { businessArea, businessAreaDetail, division } from '../../shared/shapes/business-area.ts'
import {
  departmentalService,
  departmentalServiceDetail,
} from '../../shared/shapes/departmental-service.ts'
import { divisionDetail } from '../../shared/shapes/division.ts'
import { expectForUsersOnly, startReadApi } from './read-api.ts'
import type { TestApi } from './test-api.ts'

const [LIN, MAX] = [1201, 1202]
const TOO_BIG = '9223372036854775808'

type Named = z.ZodType<{ id: number; name: string }>

/** Every list with its shape and its ordered names from `read-world.sql`. */
const LISTS: readonly (readonly [string, Named, readonly string[]])[] = [
  ['agencies/affiliations', affiliation, ['Curtin 100%', 'UWA']],
  ['agencies/list', agency, ['Herbarium', 'Zoo']],
  ['agencies/divisions', division, ['Parks', 'Science']],
  ['agencies/services', departmentalService, ['Fire', 'Whales']],
  ['agencies/business_areas', businessArea, ['Botany', 'Zoology']],
  ['locations/list', area, ['Blackwood', 'Carnarvon', 'Leeuwin', 'Rangelands', 'Wheatbelt']],
  ['locations/dbcaregions', area, ['Wheatbelt']],
  ['locations/dbcadistricts', area, ['Blackwood']],
  ['locations/ibra', area, ['Carnarvon']],
  ['locations/imcra', area, ['Leeuwin']],
  ['locations/nrm', area, ['Rangelands']],
]

/** Every detail with its entity name, its shape and some of its fields. */
const DETAILS: readonly (readonly [string, string, z.ZodType, object])[] = [
  [
    'agencies/affiliations/1001',
    'Affiliation',
    affiliation,
    { id: 1001, name: 'UWA', updated_at: '2020-01-02T08:00:00+08:00' },
  ],
  ['agencies/1017', 'Agency', agencyDetail, { id: 1017, key_stakeholder: null, is_active: true }],
  [
    'agencies/divisions/1003',
    'Division',
    divisionDetail,
    { id: 1003, director: 1201, approver: null, directorate_email_list: [1202, 1201] },
  ],
  [
    'agencies/services/1007',
    'Departmental service',
    departmentalServiceDetail,
    { id: 1007, director: 1202 },
  ],
  [
    'agencies/business_areas/1009',
    'Business area',
    businessAreaDetail,
    { id: 1009, agency: 11, division: 1003, leader: 1202, cost_center: 7, published: true },
  ],
  ['locations/1012', 'Area', areaDetail, { id: 1012, area_type: 'dbcaregion' }],
]

describe('reference lists over HTTP', () => {
  let api: TestApi

  before(async () => {
    api = await startReadApi()
  })
  after(() => api[Symbol.asyncDispose]())

  const get = (path: string, as = LIN) => api.send('GET', path, { as })
  const namesIn = (body: unknown, shape: Named) =>
    shape
      .array()
      .parse(body)
      .filter(({ id }) => id > 1000)
      .map(({ name }) => name)

  it('are complete and ordered by name [T73, T74, T75, T76, T86]', async () => {
    for (const [path, shape, names] of LISTS) {
      const { status, body } = await get(path)
      expect(status, path).to.equal(200)
      expect(namesIn(body, shape), path).to.deep.equal(names)
    }
  })

  it('have details by id, and answer 404 for other ids [T73, T74, T75, T76, T86]', async () => {
    for (const [path, entity, shape, held] of DETAILS) {
      const { status, body } = await get(path)
      expect(status, path).to.equal(200)
      expect(shape.parse(body)).to.deep.include(held)
      const folder = path.slice(0, path.lastIndexOf('/'))
      for (const id of ['999', TOO_BIG]) {
        const absent = await get(`${folder}/${id}`)
        expect(absent.status, path).to.equal(404)
        expect(absent.body).to.include({ detail: `${entity} ${id} not found` })
      }
      expect((await get(`${folder}/-1`)).status, path).to.equal(404)
    }
  })

  it('require a session', async () => {
    const paths = [...LISTS, ...DETAILS].map(([path]) => path)
    for (const path of [
      ...paths,
      'agencies/affiliations?searchTerm=u',
      'agencies/affiliations/0',
      'agencies/business_areas/mine',
      'agencies/divisions/1003/email_list',
    ]) {
      await expectForUsersOnly(api, path)
    }
  })

  it('find affiliations by a part of the name [T75]', async () => {
    for (const [query, names] of [
      ['searchTerm=u', ['Curtin 100%', 'UWA']],
      ['searchTerm=uwa', ['UWA']],
      ['searchTerm=%25', ['Curtin 100%']],
      ['searchTerm=_', []],
      ['searchTerm=u&page=2', []],
      ['searchTerm=u&page=0', ['Curtin 100%', 'UWA']],
    ] as const) {
      const { headers, body } = await get(`agencies/affiliations?${query}`)
      expect(headers['cache-status']).to.equal('spms; fwd=bypass; detail=search')
      expect(namesIn(affiliationPage.parse(body).affiliations, affiliation)).to.deep.equal(names)
    }
    expect((await get('agencies/affiliations?searchTerm=%00')).status).to.equal(400)
  })

  it('answer affiliation 0 with an empty body [T75]', async () => {
    const { status, headers, body } = await get('agencies/affiliations/0')
    expect({ status, body }).to.deep.equal({ status: 200, body: '' })
    expect(headers).not.to.have.property('content-type')
  })

  it('list the business areas that a user leads [T74]', async () => {
    const mine = await get('agencies/business_areas/mine', MAX)
    expect(namesIn(mine.body, businessArea)).to.deep.equal(['Botany', 'Zoology'])
    expect((await get('agencies/business_areas/mine')).body).to.deep.equal([])
  })

  it('show the e-mail list of a division [T76]', async () => {
    const { body } = await get('agencies/divisions/1003/email_list')
    expect(division.parse(body).directorate_email_list).to.deep.equal([
      { id: 1202, email: 'max@reads.test', name: 'Max Gum' },
      { id: 1201, email: 'lin@reads.test', name: 'Lin Fox' },
    ])
    expect((await get('agencies/divisions/999/email_list')).status).to.equal(404)
  })

  it('show the image of an agency', async () => {
    const { body } = await get('agencies/list')
    expect(body)
      .to.be.an('array')
      .that.deep.includes({
        id: 1017,
        name: 'Zoo',
        key_stakeholder: null,
        is_active: true,
        image: { id: 1011, file: '/files/agencies/1017.png' },
      })
  })
})
