import { readFileSync } from 'node:fs'
import type { Environment } from './config.ts'
import { ConfigurationError } from './errors.ts'

/** Settings that contain secrets. */
export const SECRETS = [
  'AZURE_STORAGE_CONNECTION_STRING',
  'CONSOLE_TOKEN',
  'DATABASE_URL',
  'REDIS_URL',
  'SESSION_SECRETS',
] as const

/**
 * Adds the settings that are given as files, as container platforms mount secrets. The content of the
 * file in `DATABASE_URL_FILE` becomes `DATABASE_URL`, without a line break at its end.
 * @throws ConfigurationError for a file that cannot be read, and for a setting that is given twice.
 */
export function withSecretFiles(environment: Environment): Environment {
  const read = SECRETS.flatMap((name) => {
    const path = environment[`${name}_FILE`]
    if (!path) return []
    if (environment[name]) {
      throw new ConfigurationError(`${name}: is set, and so is ${name}_FILE; set one of them`)
    }
    return [[name, readSecret(`${name}_FILE`, path)] as const]
  })
  return { ...environment, ...Object.fromEntries(read) }
}

function readSecret(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new ConfigurationError(`${name}: cannot read this file: ${(error as Error).message}`)
  }
}
