import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect } from 'chai'
import { createClient, type TrustProxy } from '../../api/http/client.ts'

interface Peer {
  readonly remoteAddress?: string
  readonly forwardedFor?: string
  readonly proto?: string
  readonly encrypted?: boolean
}

function requestFrom({ remoteAddress = '10.0.0.1', forwardedFor, proto, encrypted }: Peer) {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress })
  if (encrypted) Object.defineProperty(socket, 'encrypted', { value: true })
  const req = new IncomingMessage(socket)
  if (forwardedFor) req.headers['x-forwarded-for'] = forwardedFor
  if (proto) req.headers['x-forwarded-proto'] = proto
  return req
}

const networkOf = (trust: TrustProxy, peer: Peer) => createClient(trust).network(requestFrom(peer))

const isSecure = (trust: TrustProxy, peer: Peer) => createClient(trust).isSecure(requestFrom(peer))

describe('client', () => {
  it('is the peer unless a proxy is trusted', () => {
    expect(networkOf(false, { forwardedFor: '1.2.3.4' })).to.equal('10.0.0.1')
  })

  it('is the last address that no trusted proxy wrote', () => {
    const forwardedFor = '6.6.6.6, 1.2.3.4, 10.0.0.9'
    expect(networkOf(['10.0.0.0/8'], { forwardedFor })).to.equal('1.2.3.4')
    expect(networkOf(1, { forwardedFor })).to.equal('10.0.0.9')
    expect(networkOf(2, { forwardedFor })).to.equal('1.2.3.4')
    expect(networkOf(['10.0.0.0/8'], { remoteAddress: '8.8.8.8', forwardedFor })).to.equal(
      '8.8.8.8',
    )
  })

  it('owns the whole /64 of an IPv6 address', () => {
    const networks = [
      '2001:db8:1:2::1',
      '2001:db8:1:2:3:4:5:6',
      '2001:0db8:0001:0002:ffff:ffff:ffff:ffff',
    ].map((remoteAddress) => networkOf(false, { remoteAddress }))
    expect(new Set(networks)).to.have.all.keys('2001:db8:1:2::/64')
    expect(networkOf(false, { remoteAddress: '2001:db8:1:3::1' })).to.equal('2001:db8:1:3::/64')
    expect(networkOf(false, { remoteAddress: '::1' })).to.equal('0:0:0:0::/64')
    expect(networkOf(false, { remoteAddress: '1::2:3:4:5:6:7' })).to.equal('1:0:2:3::/64')
    expect(networkOf(false, { remoteAddress: 'fe80::1%eth0' })).to.equal('fe80:0:0:0::/64')
  })

  it('is its IPv4 address on a socket that speaks both', () => {
    expect(networkOf(false, { remoteAddress: '::ffff:1.2.3.4' })).to.equal('1.2.3.4')
  })

  it('is short whatever a proxy passed on', () => {
    expect(networkOf(1, { forwardedFor: 'x'.repeat(1000) })).to.have.length.below(50)
    expect(networkOf(1, { forwardedFor: ':'.repeat(1000) })).to.have.length.below(50)
  })

  it('is secure over TLS, and where a trusted proxy says so', () => {
    expect(isSecure(false, { encrypted: true })).to.be.true
    expect(isSecure(false, { proto: 'https' })).to.be.false
    expect(isSecure(1, { proto: 'https' })).to.be.true
    expect(isSecure(1, { proto: 'http' })).to.be.false
    expect(isSecure(1, {})).to.be.false
  })
})
