import { fileURLToPath } from 'node:url'
import { type Browser, chromium } from 'playwright-core'

const IDLE = fileURLToPath(new URL('idle-chromium', import.meta.url))

export interface ChromiumOptions {
  /** Whether it gets only the processor time that no other program needs. */
  readonly isIdle?: boolean
}

/** Starts the browser of `CHROMIUM`, by default that of the distribution. It contacts no other server. */
export const launchChromium = ({ isIdle = false }: ChromiumOptions = {}): Promise<Browser> =>
  chromium.launch({
    executablePath: isIdle ? IDLE : (process.env.CHROMIUM ?? '/usr/bin/chromium'),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
