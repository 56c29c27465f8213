import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root folder of the repository. */
export const root = resolve(fileURLToPath(import.meta.url), '../..')

/** Git-ignored folder for all files that the commands create. `npm run clean` removes it. */
export const stateDir = join(root, '.spms')
