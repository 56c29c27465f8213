/** The process cannot start with this environment. Restarting will not help. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
}
