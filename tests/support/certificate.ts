import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'

/** A self-signed certificate for `localhost`, which is its own authority, in files. */
export interface Certificate extends AsyncDisposable {
  /** Path of the certificate, for `NODE_EXTRA_CA_CERTS`. */
  readonly authority: string
  readonly keyFile: string
  /** The certificate in PEM format. */
  readonly text: string
}

export async function createCertificate(): Promise<Certificate> {
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
  return {
    authority,
    keyFile,
    text: cert,
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}
