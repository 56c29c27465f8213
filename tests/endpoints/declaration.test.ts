import { expect } from 'chai'
import { z } from 'zod'
import {
  anyone,
  get,
  getCached,
  handle,
  idOf,
  post,
  put,
  superuser,
  superuserOf,
  user,
} from '../../api/endpoints/index.ts'
import { branches } from '../../shared/resources/index.ts'

const summary = 'Do something'
const answers = { 200: z.string() }
const text = async () => '{}'

// Checked by `tsc` in `npm run check`, and never run: the compiler must reject each declaration below a
// `@ts-expect-error`, and fails if it accepts one.
void function rejected() {
  // Without access that the kind enforces.
  {
    // @ts-expect-error: no access
    get('/a', { summary, answers, read: text })
    // @ts-expect-error: access as text only
    get('/a', { summary, answers, access: 'superusers', read: text })
    // @ts-expect-error: a rule of writes on a read
    get('/a', { summary, answers, access: superuser, read: text })
    // @ts-expect-error: an uncached read for everyone
    get('/a', { summary, answers, access: anyone, read: text })
    // @ts-expect-error: private data in shared caches
    getCached('/a', { summary, answers, access: anyone, resource: branches, variant: () => 'all' })
    // @ts-expect-error: a write for everyone
    post('/a', { summary, answers, access: anyone, write: text })
    const access = { kind: 'write rule', description: 'some users', roles: [] } as const
    // @ts-expect-error: a rule without a function that enforces it
    post('/a', { summary, answers, access, write: text })
    // @ts-expect-error: a rule that the handler would have to enforce
    handle('post', '/a', { summary, answers, access: superuser, handle: () => undefined })
  }

  // Without each parameter of the path.
  {
    // @ts-expect-error: no parameter
    get('/a/:id', { summary, answers, access: user, read: text })
    // @ts-expect-error: another name
    get('/a/:id', { summary, answers, access: user, params: { key: idOf('A') }, read: text })
    const access = superuserOf('agencies_branch', 'Branch')
    // @ts-expect-error: a rule that needs the parameter `id`
    put('/a/:key', { summary, answers, access, params: { key: idOf('A') }, write: text })
    const params = { id: idOf('A') }
    // @ts-expect-error: a handler that reads another parameter
    get('/a/:id', { summary, answers, access: user, params, read: async (_, { key }) => key })
  }
}

describe('the declaration of an endpoint', () => {
  it('infers the parameters, the query and the body', () => {
    const endpoint = put('/a/:id', {
      summary,
      answers,
      access: superuserOf('agencies_branch', 'Branch'),
      params: { id: idOf('A') },
      body: z.object({ count: z.number() }),
      write: async (_trx, { id }, { body }) => ({ id: id.trim(), next: body.count + 1 }),
    })
    expect(endpoint).to.include({ method: 'put', path: '/a/:id', isConditional: false })
  })

  it('checks If-Match if it reads the body of a GET', () => {
    const common = { summary, answers, access: user, write: text }
    expect(post('/a', common).isConditional).to.equal(false)
    expect(post('/a', { ...common, shown: text }).isConditional).to.equal(true)
  })
})
