import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { BlobServiceClient } from '@azure/storage-blob'
import type { AzureOptions } from '../../api/files/azure.ts'
import { findFreePort } from '../../scripts/servers/port.ts'
import { until } from '../support/until.ts'

/** An emulator of Azure Blob Storage, which keeps blobs in memory. */
export interface Azurite extends AsyncDisposable {
  /** Options of a new container. */
  createContainer(name: string): Promise<AzureOptions>
}

export async function startAzurite(): Promise<Azurite> {
  const port = await findFreePort()
  const key = randomBytes(64).toString('base64')
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(import.meta.resolve('azurite/dist/src/blob/main.js')),
      ...['--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...['--inMemoryPersistence', '--silent', '--skipApiVersionCheck', '--disableTelemetry'],
    ],
    { env: { ...process.env, AZURITE_ACCOUNTS: `spms:${key}` }, stdio: 'ignore' },
  )
  const ended = once(child, 'exit')
  const connectionString =
    'DefaultEndpointsProtocol=http;AccountName=spms;' +
    `AccountKey=${key};BlobEndpoint=http://127.0.0.1:${port}/spms;`
  const client = BlobServiceClient.fromConnectionString(connectionString, {
    retryOptions: { maxTries: 1 },
  })
  await until(() =>
    client.getProperties().then(
      () => true,
      () => false,
    ),
  )
  return {
    async createContainer(name) {
      await client.createContainer(name)
      return { connectionString, container: name }
    },
    async [Symbol.asyncDispose]() {
      child.kill()
      await ended
    },
  }
}
