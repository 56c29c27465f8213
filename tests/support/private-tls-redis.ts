import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { findFreePort } from '../../scripts/servers/port.ts'
import { startRedisProcess } from './redis-process.ts'

/** A server that is reached as a managed one is: encrypted, with a user and a password. */
export interface PrivateTlsRedis extends AsyncDisposable {
  readonly url: string
  /** The same server without TLS, for what stands between. */
  readonly serverUrl: string
  /** Who vouches for its certificate, for `NODE_EXTRA_CA_CERTS`. */
  readonly authority: string
}

/** Starts one; its certificate is made here, for `localhost`. */
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
