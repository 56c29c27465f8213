import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { listen } from '../../shared/server.ts'

/** Signs a token as `issuer`, which may claim anything. */
export interface TokenOptions {
  readonly claims?: JWTPayload
  /** Seconds from now. */
  readonly expiresInS?: number
}

/** An issuer of tokens that answers over HTTP, with keys that it makes itself. */
export interface Issuer extends AsyncDisposable {
  readonly issuer: string
  readonly jwksUrl: string
  /** How often its keys were asked for. */
  readonly asked: () => number
  /** Signs with its present key, for the audience `spms`. */
  sign(options?: TokenOptions): Promise<string>
  /** Takes another key, and forgets the one before. */
  rotate(): Promise<void>
  /** From now on answers like this: its keys, an error, or nothing at all. */
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
