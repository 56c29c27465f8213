import { access, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect } from 'chai'
import ts from 'typescript'
import { parse } from 'yaml'
import { root } from '../scripts/paths.ts'
import { run } from '../scripts/servers/run.ts'

const read = (name: string) => readFile(join(root, name), 'utf8')
const dockerfiles = { api: 'Dockerfile.api', invalidator: 'Dockerfile.invalidator' }

describe('container images', () => {
  it('share all layers before their last stage', async () => {
    const [api, invalidator] = await Promise.all(
      Object.values(dockerfiles).map(async (name) => (await read(name)).split('USER ')[0]),
    )
    expect(api).to.equal(invalidator)
  })

  for (const [service, name] of Object.entries(dockerfiles)) {
    it(`start the ${service} from a source file that exists`, async () => {
      const dockerfile = await read(name)
      const commands = [...dockerfile.matchAll(/^CMD (.+)$/gm)].map(
        ([, command = '']) => JSON.parse(command) as string[],
      )
      expect(commands.at(-1)).to.deep.equal(['node', `dist/${service}/main.js`])
      for (const [, script = ''] of commands) await access(sourceOf(script))
      for (const [, folder = ''] of dockerfile.matchAll(/^COPY (\w+) \1$/gm)) {
        await access(join(root, folder))
      }
    })

    it(`run the ${service} without root, with STOPSIGNAL SIGTERM and a health check on /readyz`, async () => {
      const dockerfile = await read(name)
      expect(dockerfile).to.match(/^USER [1-9]\d*:[1-9]\d*$/m)
      expect(dockerfile).to.match(/^STOPSIGNAL SIGTERM$/m)
      expect(dockerfile).to.match(/^HEALTHCHECK [^]*\/readyz/m)
    })
  }

  it('have every package that their code imports, except the one of the seed', async () => {
    const { dependencies } = JSON.parse(await read('package.json')) as Manifest
    const imports = await importsFrom('api/main.ts', 'invalidator/main.ts', 'scripts/spms.ts')
    const missing = [...imports].filter(([name]) => !(name in dependencies))
    expect(missing).to.deep.equal([['@faker-js/faker', 'scripts/seed/faker.ts']])
  })

  it('are built from only the files that they need', async () => {
    const [first, ...others] = (await read('.dockerignore')).split('\n').filter(isRule)
    expect(first).to.equal('*')
    // Any other rule excludes files of the allowed folders.
    const allowed = others.filter((rule) => rule.startsWith('!'))
    const copied = [...(await read(dockerfiles.api)).matchAll(/^COPY (?!--)(.+) \S+$/gm)]
    expect(allowed).to.have.members(
      [...new Set(copied.flatMap(([, names = '']) => names.split(' ')))].map((path) => `!${path}`),
    )
  })
})

describe('docker-compose.yml', () => {
  let services: Readonly<Record<string, Service>>

  before(async () => {
    const file = parse(await read('docker-compose.yml'), { merge: true }) as {
      services: typeof services
    }
    ;({ services } = file)
  })

  it('configures Redis as ADR-008 requires, with eviction only of keys that expire', () => {
    const redis = services['redis']
    expect(redis).to.deep.include({
      image: 'redis:7-alpine',
      volumes: ['redis_data:/data'],
      healthcheck: {
        test: ['CMD', 'redis-cli', 'ping'],
        interval: '10s',
        timeout: '3s',
        retries: 3,
      },
    })
    expect(redis?.command).to.match(/^redis-server --appendonly yes /)
    expect(redis?.command).to.match(/ --maxmemory-policy volatile-lru$/)
    expect(redis?.ports).to.deep.equal(['127.0.0.1:${REDIS_PORT:-6379}:6379'])
  })

  it('lets all services use another Redis, such as a cluster', () => {
    const urls = Object.values(services).flatMap(
      ({ environment }) => environment?.['REDIS_URL'] ?? [],
    )
    expect(urls.length).to.be.greaterThan(1)
    expect([...new Set(urls)]).to.deep.equal(['${EXTERNAL_REDIS_URL:-redis://redis:6379}'])
  })

  it('publishes ports only on the loopback interface', () => {
    for (const [name, { ports = [] }] of Object.entries(services)) {
      for (const port of ports) expect(port, name).to.match(/^127\.0\.0\.1:/)
    }
  })

  it('contains no secrets, which the first start generates', () => {
    for (const [name, { environment = {} }] of Object.entries(services)) {
      for (const [variable, value] of Object.entries(environment)) {
        const isPath = variable.endsWith('_FILE')
        const isSecret = /PASSWORD|SECRET|DATABASE_URL/.test(variable)
        expect(isSecret && !isPath, `${name}: ${variable}`).to.equal(false)
        if (isPath) expect(value).to.match(/^\/run\/secrets\/spms\//)
      }
    }
  })

  it('generates every secret once, readable by its owner only', async () => {
    const folders = ['postgres', 'owner', 'api', 'invalidator', 'grafana']
    const make = async (directory: string) => {
      for (const folder of folders) await mkdir(join(directory, folder), { recursive: true })
      await run('sh', [join(root, 'scripts/compose/make-secrets.sh')], {
        env: { ...process.env, SECRETS_DIRECTORY: directory },
      })
      const files = (await readdir(directory, { recursive: true })).filter((path) =>
        path.includes('/'),
      )
      const contents = await Promise.all(
        files.toSorted().map(async (path) => {
          expect((await stat(join(directory, path))).mode & 0o777, path).to.equal(0o400)
          return [path, await readFile(join(directory, path), 'utf8')] as const
        }),
      )
      return Object.fromEntries(contents)
    }
    const [here, there] = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), 'secrets-'))))
    try {
      const made = await make(here as string)
      expect(Object.keys(made)).to.include.members(['api/database_url', 'api/session_secrets'])
      expect(made['api/session_secrets']).to.match(/^\w{32,}$/)
      expect(made['api/database_url']).to.equal(
        `postgres://spms_api:${made['postgres/api_password']}@postgres:5432/spms`,
      )
      expect(await make(here as string)).to.deep.equal(made)
      const others = Object.values(await make(there as string))
      for (const secret of Object.values(made)) expect(others).not.to.include(secret)
    } finally {
      for (const directory of [here, there]) await rm(directory as string, { recursive: true })
    }
  })

  it('can scale the invalidator, which has no fixed port or container name', () => {
    expect(services['invalidator']).not.to.have.any.keys('container_name')
    expect(services['invalidator']?.ports).to.deep.equal(['127.0.0.1::9465'])
  })

  it('runs the project images read-only and without capabilities', () => {
    const ours = Object.entries(services).filter(([, { build }]) => build)
    expect(ours.map(([name]) => name)).to.have.members(['migrate', 'seed', 'api', 'invalidator'])
    for (const [name, service] of ours) {
      expect(service, name).to.deep.include({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      })
    }
  })

  it('runs only commands that the build creates, and mounts only files that exist', async () => {
    for (const { command, volumes = [] } of Object.values(services)) {
      for (const [script] of String(command ?? '').matchAll(/dist\/\S+\.js/g)) {
        await access(sourceOf(script))
      }
      for (const volume of volumes.filter((volume) => volume.startsWith('./scripts/'))) {
        await access(join(root, volume.split(':')[0] ?? ''))
      }
    }
  })
})

/** Returns the packages that files import, directly or indirectly, each with an importing file. */
async function importsFrom(...files: readonly string[]): Promise<Map<string, string>> {
  const packages = new Map<string, string>()
  const reached = new Set(files)
  for (const file of reached) {
    const imported = ts.preProcessFile(await read(file)).importedFiles
    for (const { fileName } of imported) {
      if (fileName.startsWith('.')) reached.add(join(dirname(file), fileName))
      else if (!fileName.startsWith('node:')) packages.set(packageOf(fileName), file)
    }
  }
  return packages
}

const packageOf = (specifier: string) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
}

interface Service {
  readonly environment?: Readonly<Record<string, string>>
  readonly build?: object
  readonly command?: string | readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
}

const sourceOf = (script: string) => join(root, script.replace('dist/', '').replace(/\.js$/, '.ts'))

const isRule = (line: string) => line !== '' && !line.startsWith('#')
