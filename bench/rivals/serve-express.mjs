import express from 'express'
import { port, PROFILE_PATH, PROJECTS_PATH } from './settings.mjs'

/** Serves both responses with Express: each is the value of its function, as JSON. */
export function serveExpress({ findProfile, findProjects }, ...middleware) {
  const app = express()
  app.disable('x-powered-by')
  app.get(PROFILE_PATH, ...middleware, async (req, res) => {
    res.json(await findProfile(req.params.id))
  })
  app.get(PROJECTS_PATH, ...middleware, async (_req, res) => {
    res.json(await findProjects())
  })
  app.listen(port, '127.0.0.1')
}
