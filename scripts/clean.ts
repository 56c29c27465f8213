import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { stateDir } from './paths.ts'
import { removeExternalFolder } from './servers/server-folder.ts'
import { endLeftovers, readState } from './servers/state.ts'

const STOP_MS = 40_000

const state = await readState(stateDir)
if (state?.running) {
  console.log(`stopping npm start (process ${state.starterPid})`)
  process.kill(state.starterPid, 'SIGTERM')
  const until = Date.now() + STOP_MS
  while ((await readState(stateDir))?.running && Date.now() < until) await sleep(100)
}
await endLeftovers(stateDir)
await removeExternalFolder(stateDir)
await rm(stateDir, { recursive: true, force: true })
console.log(`removed ${stateDir}`)
