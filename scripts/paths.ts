import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the checkout. */
export const root = resolve(fileURLToPath(import.meta.url), '../..')

/** The git-ignored folder that holds everything the commands make, so that one command removes it. */
export const stateDir = join(root, '.spms')
