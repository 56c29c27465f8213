import express from 'express'
import { readConstants } from './constants.ts'

// The minimum of Express: two routes like those of the API, with bytes, length and ETag computed in advance.
const { port, profile, projects } = await readConstants()
const app = express()
app.disable('x-powered-by')
app.get('/api/v1/users/staffprofiles/:id', (_req, res) => {
  res.set(profile.headers).send(profile.body)
})
app.get('/api/v1/projects/mine', (_req, res) => {
  res.set(projects.headers).send(projects.body)
})
app.listen(port, '127.0.0.1')
