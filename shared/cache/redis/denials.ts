import type { Logger } from 'winston'
import { isDenial } from './replies.ts'

/** Logs each command that Redis denies, once, with its remedy. Ignores errors of other causes. */
export type DenialLog = (error: unknown) => void

/** Creates a denial log. `hint` is appended to each remedy. */
export function createDenialLog(logger: Pick<Logger, 'error'>, hint?: string): DenialLog {
  const logged = new Set<string>()
  return (thrown) => {
    const error = thrown instanceof Error && isDenial(thrown.cause) ? thrown.cause : thrown
    if (!isDenial(error)) return
    const { what, remedy } = describeDenial(error.message)
    if (logged.has(what)) return
    logged.add(what)
    logger.error('Redis does not permit a command', {
      command: what,
      reason: error.message,
      remedy: hint === undefined ? remedy : `${remedy}; ${hint}`,
    })
  }
}

/** Extracts command and user. Older servers do not name the command that a script ran. */
function describeDenial(message: string): { readonly what: string; readonly remedy: string } {
  const [, command] = /the '([\w|-]+)' command/.exec(message) ?? []
  const [, user = '<user>'] = /User (\S+) has no permissions/.exec(message) ?? []
  if (command !== undefined) return { what: command, remedy: `ACL SETUSER ${user} +${command}` }
  return /\bkeys?\b/.test(message)
    ? { what: 'keys', remedy: `ACL SETUSER ${user} ~<prefix>/*` }
    : { what: 'script', remedy: `ACL SETUSER ${user} with the commands of the scripts` }
}
