import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { listen } from '../../shared/server.ts'

/** Claims and expiry of a token. */
export interface TokenOptions {
  readonly claims?: JWTPayload
  /** Lifetime from now; negative for an expired token. */
  readonly expiresInS?: number
}

/** An issuer of tokens that generates its keys and serves them over HTTP. */
export interface Issuer extends AsyncDisposable {
  readonly issuer: string
  readonly jwksUrl: string
  /** Returns the number of requests for its keys. */
  readonly asked: () => number
  /** Signs a token with the current key, for the audience `spms`. */
  sign(options?: TokenOptions): Promise<string>
  /** Replaces the key by a new one. */
  rotate(): Promise<void>
  /** Sets the answer to requests for its keys: the keys, status 500, or a body that is not JSON. */
  answer(how: 'keys' | 'error' | 'nonsense'): void
}

export async function startIssuer(algorithm: 'RS256' | 'ES256' = 'ES256'): Promise<Issuer> {
  let generation = 0
  let how: Parameters<Issuer['answer']>[0] = 'keys'
  let asked = 0
  let key = await makeKey()

  const server = createServer((_req, res) => {
    asked++
    if (how === 'error') res.writeHead(500)
    res.end(how === 'nonsense' ? 'no keys here' : JSON.stringify({ keys: [key.publicKey] }))
  })
  const port = await listen(server, { host: '127.0.0.1', port: 0, setting: '' })
  const issuer = `http://127.0.0.1:${port}/`

  async function makeKey() {
    const kid = `key ${++generation}`
    const { privateKey, publicKey } = await generateKeyPair(algorithm)
    const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' }
    return { kid, privateKey, publicKey: jwk }
  }

  return {
    issuer,
    jwksUrl: `${issuer}keys`,
    asked: () => asked,

    sign({ claims = {}, expiresInS = 60 } = {}) {
      const nowS = Math.floor(Date.now() / 1000)
      return new SignJWT({ iss: issuer, aud: 'spms', exp: nowS + expiresInS, ...claims })
        .setProtectedHeader({ alg: algorithm, kid: key.kid })
        .sign(key.privateKey)
    },

    async rotate() {
      key = await makeKey()
    },

    answer(next) {
      how = next
    },

    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
