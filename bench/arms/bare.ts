import { createServer } from 'node:http'
import { readConstants } from './constants.ts'

// The minimum of Node: two paths like those of the API, no framework.
const { port, profile, projects } = await readConstants()
createServer((req, res) => {
  const { headers, body } = req.url === '/api/v1/projects/mine' ? projects : profile
  res.writeHead(200, headers).end(body)
}).listen(port, '127.0.0.1')
