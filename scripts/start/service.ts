import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { styleText } from 'node:util'
import { root } from '../paths.ts'

/** A service process of `npm start`. */
export interface Service {
  readonly name: string
  /** Resolves with the signal or the exit code that ended the process. */
  readonly ended: Promise<string>
  stop(): Promise<void>
}

export interface ServiceOptions {
  readonly name: string
  readonly main: string
  readonly colour: 'cyan' | 'magenta'
  readonly env: NodeJS.ProcessEnv
}

/** Longer than the services' own grace period, after which they exit by themselves. */
const GRACE_MS = 30_000

/**
 * Starts a service with a pipe on descriptor 3. The pipe closes when this process ends, even by
 * SIGKILL, and the service then stops. Its own session keeps a Ctrl-C in the terminal away from it.
 */
export async function startService({ name, main, colour, env }: ServiceOptions): Promise<Service> {
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    cwd: root,
    env: { ...env, SPMS_PARENT_FD: '3' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  // The pipe emits an error if the service exits first.
  child.stdio[3]?.on('error', () => {})
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  printLines(child, name, colour)
  await once(child, 'spawn')
  return {
    name,
    ended,
    async stop() {
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
      await ended
      clearTimeout(force)
    },
  }
}

/** Waits until a URL returns 200 and `isEnough` accepts the response. */
export async function untilReady(
  url: string,
  signal: AbortSignal,
  isEnough: (response: Response) => boolean = () => true,
): Promise<void> {
  while (!signal.aborted) {
    const ready = await fetch(url, { signal: AbortSignal.timeout(2000) }).then(
      async (response) => {
        await response.arrayBuffer()
        return response.ok && isEnough(response)
      },
      () => false,
    )
    if (ready) return
    await sleep(50)
  }
}

function printLines(child: ChildProcess, name: string, colour: ServiceOptions['colour']): void {
  const plain = `${name.padEnd(11)} |`
  const label = process.stdout.isTTY && !process.env.NO_COLOR ? styleText(colour, plain) : plain
  for (const stream of [child.stdout, child.stderr]) {
    let rest = ''
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) console.log(`${label} ${line}`)
    })
    stream?.on('end', () => rest && console.log(`${label} ${rest}`))
  }
}
