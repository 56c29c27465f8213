import { ConfigurationError } from '../../shared/errors.ts'
import { createDirectoryStorage } from './directory.ts'
import type { FileStorage } from './storage.ts'
import type { AzureOptions } from './azure.ts'

/** Where files are kept: a directory, or a container of Azure Blob Storage. */
export type StorageConfig = { readonly directory: string } | { readonly azure: AzureOptions }

/**
 * Opens the configured storage.
 * @throws ConfigurationError for an invalid connection string.
 */
export async function openStorage(config: StorageConfig): Promise<FileStorage> {
  if ('directory' in config) return createDirectoryStorage(config.directory)
  // Loaded only if it is used, because it takes 20 MiB.
  const { createAzureStorage } = await import('./azure.ts')
  try {
    return createAzureStorage(config.azure)
  } catch {
    // The message of the library could contain a part of the secret.
    throw new ConfigurationError(
      'AZURE_STORAGE_CONNECTION_STRING: is not a connection string of Azure Storage',
    )
  }
}
