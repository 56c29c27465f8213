import { createDirectoryStorage } from './directory.ts'
import type { FileStorage } from './storage.ts'
import type { AzureOptions } from './azure.ts'

/** Where files are kept: a directory, or a container of Azure Blob Storage. */
export type StorageConfig = { readonly directory: string } | { readonly azure: AzureOptions }

/** Opens the configured storage. */
export async function openStorage(config: StorageConfig): Promise<FileStorage> {
  if ('directory' in config) return createDirectoryStorage(config.directory)
  // Loaded only if it is used, because it takes 20 MiB.
  const { createAzureStorage } = await import('./azure.ts')
  return createAzureStorage(config.azure)
}
