import { findFreePort } from '../../scripts/servers/port.ts'
import { createCertificate } from './certificate.ts'
import { startRedisProcess } from './redis-process.ts'

/** A Redis with TLS, user and password, like a managed one. */
export interface PrivateTlsRedis extends AsyncDisposable {
  readonly url: string
  /** URL of the same server without TLS, for proxies. */
  readonly serverUrl: string
  /** Path of the CA certificate, for `NODE_EXTRA_CA_CERTS`. */
  readonly authority: string
}

/** Starts a Redis with TLS, and creates a self-signed certificate for `localhost`. */
export async function startPrivateTlsRedis(): Promise<PrivateTlsRedis> {
  const certificate = await createCertificate()
  const { authority, keyFile } = certificate
  const [port, tlsPort] = [await findFreePort(), await findFreePort()]
  const server = await startRedisProcess(port, [
    `tls-port ${tlsPort}`,
    `tls-cert-file ${authority}`,
    `tls-key-file ${keyFile}`,
    'tls-auth-clients no',
    'user default off',
    'user spms on >secret ~* &* +@all',
  ])
  return {
    url: `rediss://spms:secret@localhost:${tlsPort}/0`,
    serverUrl: `redis://spms:secret@127.0.0.1:${port}`,
    authority,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await certificate[Symbol.asyncDispose]()
    },
  }
}
