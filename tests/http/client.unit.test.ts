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

describe('the network of a client', () => {
  it('is that of the peer address unless a proxy is trusted', () => {
    expect(networkOf(false, { forwardedFor: '1.2.3.4' })).to.equal('10.0.0.1')
  })

  it('is that of the last forwarded address that is not a trusted proxy', () => {
    const forwardedFor = '6.6.6.6, 1.2.3.4, 10.0.0.9'
    expect(networkOf(['10.0.0.0/8'], { forwardedFor })).to.equal('1.2.3.4')
    expect(networkOf(1, { forwardedFor })).to.equal('10.0.0.9')
    expect(networkOf(2, { forwardedFor })).to.equal('1.2.3.4')
    expect(networkOf(['10.0.0.0/8'], { remoteAddress: '8.8.8.8', forwardedFor })).to.equal(
      '8.8.8.8',
    )
  })

  it('is the /64 prefix of an IPv6 address', () => {
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

  it('is the IPv4 address of an IPv4-mapped IPv6 address', () => {
    expect(networkOf(false, { remoteAddress: '::ffff:1.2.3.4' })).to.equal('1.2.3.4')
  })

  for (const [written, network] of [
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:50001', '203.0.113.7'],
    [' 203.0.113.7:443 ', '203.0.113.7'],
    ['"203.0.113.7:443"', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:50001', '203.0.113.7'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::1', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::1]', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::1]:443', '2001:db8:1:2::/64'],
    ['"[2001:db8:1:2::1]:443"', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:3:4:5:6:50001', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1:50001', '2001:db8:1:2::/64'],
    ['64:ff9b::203.0.113.7', '64:ff9b:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['[fe80::1%25eth0]:443', 'fe80:0:0:0::/64'],
  ] as const) {
    it(`is ${network} for the forwarded address ${written}`, () => {
      for (const trust of [1, ['10.0.0.0/8']] as const) {
        expect(networkOf(trust, { forwardedFor: written })).to.equal(network)
        expect(networkOf(trust, { forwardedFor: `6.6.6.6, ${written}` })).to.equal(network)
      }
    })
  }

  it('is the address of the nearest trusted proxy if a forwarded address is not parseable', () => {
    for (const written of [
      'unknown',
      '_hidden',
      'unix:',
      ' ',
      '1.2.3',
      '1.2.3.4.5',
      '01.2.3.4',
      '1.2.3.4:',
      '1.2.3.4:port',
      '1.2.3.4:123456',
      '1.2.3.256',
      '[1.2.3.4]:80',
      '[2001:db8::1',
      '[2001:db8::1]x',
      ':'.repeat(1000),
      '1'.repeat(100_000),
      '"'.repeat(1000),
    ]) {
      for (const trust of [1, 2, ['10.0.0.0/8']] as const) {
        expect(networkOf(trust, { forwardedFor: written }), written).to.equal('10.0.0.1')
        const behind = `6.6.6.6, ${written}`
        expect(networkOf(trust, { forwardedFor: behind }), behind).to.equal('10.0.0.1')
      }
      const chain = `6.6.6.6, ${written}, 10.0.0.9:1234`
      expect(networkOf(['10.0.0.0/8'], { forwardedFor: chain }), chain).to.equal('10.0.0.9')
      expect(networkOf(2, { forwardedFor: chain }), chain).to.equal('10.0.0.9')
    }
  })

  it('is found behind a trusted proxy in every form of the proxy address', () => {
    for (const proxy of ['10.0.0.9:1234', '::ffff:10.0.0.9', '[::ffff:10.0.0.9]:80']) {
      const forwardedFor = `1.2.3.4:5, ${proxy}`
      expect(networkOf(['10.0.0.0/8'], { forwardedFor }), proxy).to.equal('1.2.3.4')
    }
    expect(
      networkOf(['10.0.0.0/8'], { remoteAddress: '::ffff:10.0.0.1', forwardedFor: '1.2.3.4' }),
    ).to.equal('1.2.3.4')
  })
})

describe('the connection of a client', () => {
  it('is secure over TLS, or if a trusted proxy reports https', () => {
    expect(isSecure(false, { encrypted: true })).to.be.true
    expect(isSecure(false, { proto: 'https' })).to.be.false
    expect(isSecure(1, { proto: 'https' })).to.be.true
    expect(isSecure(1, { proto: 'http' })).to.be.false
    expect(isSecure(1, {})).to.be.false
  })
})
