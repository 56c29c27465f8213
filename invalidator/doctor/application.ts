import type { ResourceRules } from '../../shared/cache/index.ts'

/** Names of the application that findings contain. */
export interface ExaminedApplication {
  readonly catalog: readonly ResourceRules[]
  /** Beginning of the `application_name` of all its sessions. */
  readonly sessionPrefix: string
  /** Command that installs or repairs the triggers. */
  readonly installCommand: string
}
