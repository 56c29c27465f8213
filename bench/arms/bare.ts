import { createServer } from 'node:http'
import { readConstants } from './constants.ts'

// The minimum of Node: no routes, no framework.
const { port, profile } = await readConstants()
createServer((_req, res) => {
  res.writeHead(200, profile.headers).end(profile.body)
}).listen(port, '127.0.0.1')
