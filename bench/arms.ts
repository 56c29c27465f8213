import { writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
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
  /** Runs before each measurement. */
  readonly prepare?: () => Promise<void>
  /** Starts background work for the measurement. Returns a function that ends it. */
  readonly meanwhile?: () => () => void
}

export type ArmName =
  | 'node:http'
  | 'node:http, projects'
  | 'Express'
  | 'Express, projects'
  | 'hit'
  | 'hit, all profiles'
  | '304'
  | 'hit, logged in'
  | 'miss'
  | 'uncached'

/** As browsers send it. Without it the API would inflate each stored response. */
export const GZIP = { 'Accept-Encoding': 'gzip' }
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
  const profilePaths = ids.map(profilePath)
  const path = profilePath(servers.seeded.exampleProfileId)
  const session = { ...GZIP, Cookie: await logIn(cached.origin, servers.seeded.login) }

  const profile = await fetchHit(cached, path, GZIP)
  const projects = await fetchHit(cached, PROJECTS_PATH, session)
  const files = await writeBytes({ profile: profile.body, projects: projects.body })
  const express = await startConstant(bench, 'bench/arms/express.ts', path, files)
  const bare = await startConstant(bench, 'bench/arms/bare.ts', path, files)
  const plain = [await fetchBytes(uncached, path), await fetchBytes(cached, path)]
  const same = [
    [profile, await fetchBytes(express, path)],
    [profile, await fetchBytes(bare, path)],
    [projects, await fetchBytes(express, PROJECTS_PATH)],
    [projects, await fetchBytes(bare, PROJECTS_PATH)],
  ] as const
  if (
    same.some(([a, b]) => !a.body.equals(b.body)) ||
    plain.some(({ body }) => !body.equals(gunzipSync(profile.body)))
  )
    throw new Error('the arms send different bytes')

  const hit = { resource: 'staff:profile', outcome: 'hit' }
  return [
    { name: 'node:http', service: bare, paths: [path] },
    { name: 'node:http, projects', service: bare, paths: [PROJECTS_PATH] },
    { name: 'Express', service: express, paths: [path] },
    { name: 'Express, projects', service: express, paths: [PROJECTS_PATH] },
    { name: 'hit', service: cached, paths: [path], headers: GZIP, expected: hit },
    {
      name: 'hit, all profiles',
      service: cached,
      paths: profilePaths,
      headers: GZIP,
      expected: hit,
      // The misses of another arm deleted entries.
      async prepare() {
        for (const one of profilePaths) await fetchHit(cached, one, GZIP)
      },
    },
    {
      name: '304',
      service: cached,
      paths: [path],
      headers: { ...GZIP, 'If-None-Match': profile.etag },
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
      paths: profilePaths,
      expected: { resource: 'staff:profile', outcome: 'miss' },
      meanwhile() {
        const eraser = setInterval(() => void redis.unlink(keys), ERASE_EVERY_MS)
        return () => clearInterval(eraser)
      },
    },
    {
      name: 'uncached',
      service: uncached,
      paths: profilePaths,
      expected: { resource: 'staff:profile', outcome: 'bypass' },
    },
  ]
}

interface Bytes {
  readonly body: Buffer
  readonly etag: string
  readonly encoding: string | undefined
  /** Whether the API answered from Redis. */
  readonly isHit: boolean
}

/** Returns the bytes as they are sent. @throws Error if the status is not 200. */
export function fetchBytes(
  { origin }: Service,
  path: string,
  headers: Record<string, string> = {},
): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    get(`${origin}${path}`, { headers }, (response) => {
      const { statusCode, headers: received } = response
      if (statusCode !== 200) reject(new Error(`GET ${path} returned ${statusCode}`))
      const { etag = '', 'content-encoding': encoding, 'cache-status': status = '' } = received
      const isHit = status.includes('; hit')
      buffer(response).then((body) => resolve({ body, etag, encoding, isHit }), reject)
    }).on('error', reject)
  })
}

/** Retries, because a value is stored after its first response. */
async function fetchHit(...args: Parameters<typeof fetchBytes>): Promise<Bytes> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const found = await fetchBytes(...args)
    if (found.isHit) return found
    await sleep(attempt)
  }
  throw new Error(`GET ${args[1]} was never a hit`)
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
