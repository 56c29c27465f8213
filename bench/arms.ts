import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { stateDir } from '../scripts/paths.ts'
import { startApi } from './api.ts'
import type { Bench } from './bench.ts'
import { startInvalidator } from './invalidator.ts'
import { logIn } from './log-in.ts'
import { findProfileIds, profileKey, profilePath } from './profiles.ts'
import { type Service, startService } from './service.ts'

/** One way to respond to a request, and the service that does so. */
export interface Arm<Name extends string = ArmName> {
  readonly name: Name
  readonly service: Service
  readonly paths: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  /** The resource that the API reads, and the expected outcome. */
  readonly expected?: { readonly resource: string; readonly outcome: string }
  /** The counter of loads of a service from which all responses should come without a load. */
  readonly loadCounter?: string
  /** Starts background work for the measurement. Returns a function that ends it. */
  readonly meanwhile?: () => () => void
}

export type ArmName =
  | 'node:http'
  | 'Express'
  | 'Express, projects'
  | 'hit'
  | '304'
  | 'hit, logged in'
  | 'miss'
  | 'uncached'

const PROJECTS_PATH = '/api/v1/projects/mine'
/** Much shorter than one pass through all profiles, so that every read is a miss. */
const ERASE_EVERY_MS = 20

/** Starts all arms. @throws Error if arms that are compared send different bytes. */
export async function openArms(bench: Bench, redis: Redis): Promise<readonly Arm[]> {
  const { servers } = bench
  await startInvalidator(bench)
  const cached = await startApi(bench, true)
  const uncached = await startApi(bench, false)
  const ids = await findProfileIds(servers.databaseUrl)
  const keys = ids.map((id) => profileKey(servers.prefix, id))
  const turn = ids.map(profilePath)
  const path = profilePath(servers.seeded.exampleProfileId)
  const session = { Cookie: await logIn(cached.origin, servers.seeded.login) }

  const profile = await fetchBytes(uncached, path)
  const projects = await fetchBytes(cached, PROJECTS_PATH, session)
  const files = await writeBytes({ profile: profile.body, projects: projects.body })
  const express = await startConstant(bench, 'bench/arms/express.ts', path, files)
  const bare = await startConstant(bench, 'bench/arms/bare.ts', path, files)
  const same = [
    [profile, await fetchBytes(cached, path)],
    [profile, await fetchBytes(express, path)],
    [profile, await fetchBytes(bare, path)],
    [projects, await fetchBytes(express, PROJECTS_PATH)],
  ] as const
  if (same.some(([a, b]) => !a.body.equals(b.body)))
    throw new Error('the arms send different bytes')

  const hit = { resource: 'staff:profile', outcome: 'hit' }
  return [
    { name: 'node:http', service: bare, paths: [path] },
    { name: 'Express', service: express, paths: [path] },
    { name: 'Express, projects', service: express, paths: [PROJECTS_PATH] },
    { name: 'hit', service: cached, paths: [path], expected: hit },
    {
      name: '304',
      service: cached,
      paths: [path],
      headers: { 'If-None-Match': profile.etag },
      expected: hit,
    },
    {
      name: 'hit, logged in',
      service: cached,
      paths: [PROJECTS_PATH],
      headers: session,
      expected: { resource: 'user:projects', outcome: 'hit' },
    },
    {
      name: 'miss',
      service: cached,
      paths: turn,
      expected: { resource: 'staff:profile', outcome: 'miss' },
      meanwhile() {
        const eraser = setInterval(() => void redis.unlink(keys), ERASE_EVERY_MS)
        return () => clearInterval(eraser)
      },
    },
    {
      name: 'uncached',
      service: uncached,
      paths: turn,
      expected: { resource: 'staff:profile', outcome: 'bypass' },
    },
  ]
}

interface Bytes {
  readonly body: Buffer
  readonly etag: string
}

/** Requests a path. @throws Error if the status is not 200. */
export async function fetchBytes(
  { origin }: Service,
  path: string,
  headers: Record<string, string> = {},
): Promise<Bytes> {
  const response = await fetch(`${origin}${path}`, { headers })
  if (!response.ok) throw new Error(`GET ${path} returned ${response.status}`)
  const body = Buffer.from(await response.arrayBuffer())
  return { body, etag: response.headers.get('etag') ?? '' }
}

interface Files extends NodeJS.ProcessEnv {
  readonly PROFILE_FILE: string
  readonly PROJECTS_FILE: string
}

/** Writes the response bodies to files. Returns environment variables with their paths for the constant arms. */
export async function writeBytes(bytes: { profile: Buffer; projects: Buffer }): Promise<Files> {
  const folder = join(stateDir, 'bench')
  const files = { PROFILE_FILE: join(folder, 'profile'), PROJECTS_FILE: join(folder, 'projects') }
  await writeFile(files.PROFILE_FILE, bytes.profile)
  await writeFile(files.PROJECTS_FILE, bytes.projects)
  return files
}

/** Starts a service that sends constant responses. */
export async function startConstant(
  { cores, onStop }: Bench,
  source: string,
  path: string,
  files: Files,
): Promise<Service> {
  const service = await startService(source, {
    env: files,
    cores: cores?.measured,
    ready: { path },
  })
  onStop(() => service.stop())
  return service
}
