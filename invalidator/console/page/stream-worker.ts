import { createChangeStream } from './change-stream.ts'

// The script is in the folder `assets` of the page.
const stream = createChangeStream(new URL('../events', location.href).href)

addEventListener('connect', (event) => {
  const [port] = (event as MessageEvent).ports
  if (port === undefined) return
  const leave = stream.join((delivery) => port.postMessage(delivery))
  port.addEventListener('message', leave)
  port.start()
})
