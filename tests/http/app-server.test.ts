import express from 'express'
import { expect } from 'chai'
import { createAppServer } from '../../api/http/app-server.ts'
import { closeServer, listen } from '../../shared/server.ts'

describe('the server of an application', () => {
  it('makes requests and responses on which Express has nothing to change', async () => {
    const app = express()
    const seen: { born: object; used: object }[] = []
    const server = createAppServer(app, {})
    server.prependListener('request', (req, res) => {
      const born = [req, res].map((one): object => Object.getPrototypeOf(one))
      res.once('finish', () => {
        const used = [req, res].map((one): object => Object.getPrototypeOf(one))
        born.forEach((prototype, i) => seen.push({ born: prototype, used: used[i] as object }))
      })
    })
    app.use(express.json())
    app.post('/echo', (req, res) => {
      res.json({ is: req.is('json'), body: req.body, own: req.app === app && res.req === req })
    })
    const port = await listen(server, { host: '127.0.0.1', port: 0, setting: '' })
    try {
      const response = await fetch(`http://127.0.0.1:${port}/echo`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{"a":1}',
      })
      expect(await response.json()).to.deep.equal({ is: 'json', body: { a: 1 }, own: true })
      expect(seen).to.have.length(2)
      for (const { born, used } of seen) expect(used).to.equal(born)
    } finally {
      await closeServer(server)
    }
  })
})
