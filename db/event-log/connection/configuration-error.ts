/** Thrown if the process cannot start with its configuration; a restart does not help. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError'
}
