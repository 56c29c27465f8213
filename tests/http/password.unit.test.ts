import { expect } from 'chai'
import { hashPassword, verifyPassword } from '../../api/session/password.ts'

// The hash is from the test suite of Django.
const DJANGO = 'pbkdf2_sha256$20000$seasalt$oBSd886ysm3AqYun62DOdin8YcfbU1z9cksZSuLP9r0='

describe('password hashing', () => {
  it('verifies hashes that Django wrote', async () => {
    expect(await verifyPassword('lètmein', DJANGO, 1)).to.be.true
    expect(await verifyPassword('letmein', DJANGO, 1)).to.be.false
    expect(await verifyPassword('', DJANGO, 1)).to.be.false
  })

  it('writes hashes in the format of Django', async () => {
    const hash = await hashPassword('lètmein', 1000)
    expect(hash).to.match(/^pbkdf2_sha256\$1000\$[0-9a-f]{32}\$/)
    expect(await verifyPassword('lètmein', hash, 1)).to.be.true
    expect(await hashPassword('lètmein', 1000)).not.to.equal(hash)
  })

  it('rejects hashes of other formats', async () => {
    for (const stored of [
      '',
      '!unusable',
      'lètmein',
      'argon2$x$y$z',
      `${DJANGO}=`,
      'pbkdf2_sha256$0$s$x',
    ]) {
      expect(await verifyPassword('lètmein', stored, 1), stored).to.be.false
    }
  })
})
