import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { findFreePort } from '../../scripts/servers/port.ts'
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
  const dir = await mkdtemp(join(tmpdir(), 'spms-tls-'))
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  })
  const [authority, keyFile] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
  await writeFile(authority, cert)
  await writeFile(keyFile, key, { mode: 0o600 })

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
      await rm(dir, { recursive: true, force: true })
    },
  }
}
