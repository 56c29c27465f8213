import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { readCpu } from '../bench/cpu.ts'
import { peakBytes } from '../bench/processes.ts'
import { listProcFolder, readProcFile } from '../scripts/servers/proc-file.ts'
import { readCommandLine } from '../scripts/servers/process-table.ts'

describe('files of /proc', () => {
  before(function () {
    if (process.platform !== 'linux') this.skip()
  })

  it('are null for a process that has ended', async () => {
    const pid = await endedPid()
    expect(await readProcFile(`/proc/${pid}/status`)).to.equal(null)
    expect(await listProcFolder(`/proc/${pid}/task`)).to.equal(null)
    expect(await readCpu(pid)).to.equal(null)
    expect(await readCommandLine(pid)).to.equal('')
  })

  it('name the process whose memory cannot be read because it has ended', async () => {
    const pid = await endedPid()
    const error = await peakBytes(pid).catch((reason: unknown) => reason)
    expect(String(error)).to.contain(`process ${pid} ended`)
  })

  it('fail with any other error', async () => {
    const error = await readProcFile('/proc/self/task').catch((reason: unknown) => reason)
    expect(error).to.have.property('code', 'EISDIR')
  })

  it('are read while threads of the process start and end', async () => {
    const child = spawn(process.execPath, ['--eval', THREADS], { stdio: 'ignore' })
    try {
      await once(child, 'spawn')
      let mostThreads = 0
      for (let reading = 0; reading < 300 || mostThreads <= 1; reading++) {
        const found = await readCpu(child.pid ?? 0)
        if (!found) throw new Error('the process ended')
        mostThreads = Math.max(mostThreads, found.threads.size)
      }
    } finally {
      child.kill('SIGKILL')
    }
  })
})

const THREADS = `
  const { Worker } = require('node:worker_threads')
  const start = () => new Worker('', { eval: true }).once('exit', start)
  start()
`

async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ['--eval', ''], { stdio: 'ignore' })
  await once(child, 'exit')
  return child.pid ?? 0
}
