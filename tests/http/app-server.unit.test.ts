import express from 'express'
import { expect } from 'chai'
import { createAppServer } from '../../api/http/app-server.ts'
import { closeServer, listen } from '../../shared/server.ts'

describe('createAppServer', () => {
  it('creates requests and responses whose prototypes Express does not replace', async () => {
    const app = Object.assign(express(), { answerCached: () => false })
    const seen: { created: object; handled: object }[] = []
    const server = createAppServer(app, {})
    server.prependListener('request', (req, res) => {
      const created = [req, res].map((one): object => Object.getPrototypeOf(one))
      res.once('finish', () => {
        const handled = [req, res].map((one): object => Object.getPrototypeOf(one))
        created.forEach((prototype, i) =>
          seen.push({ created: prototype, handled: handled[i] as object }),
        )
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
      for (const { created, handled } of seen) expect(handled).to.equal(created)
    } finally {
      await closeServer(server)
    }
  })
})
