import { isDeepStrictEqual } from 'node:util'
import { fetchBytes, GZIP, startConstant, writeBytes, type Arm } from '../arms.ts'
import type { Bench } from '../bench.ts'
import { shown, shownRange } from '../figure.ts'
import { measureArms } from '../measure-arms.ts'
import { cpuRatioOf, over, ratiosOf, type Round } from '../rounds.ts'
import type { Service } from '../service.ts'
import { median } from '../statistics.ts'
import { table } from '../table.ts'
import { OURS, type System } from './systems.ts'
import type { Target, Targets } from './target.ts'

const CONSTANTS = { bare: 'node:http, constant', express: 'Express, constant' }

/** Measures hits of all systems and constant responses, in the same rounds. Prints a table for each response. */
export async function measureThroughput(
  bench: Bench,
  running: ReadonlyMap<System, Service>,
  targets: Targets,
): Promise<void> {
  const arms = await openArms(bench, running, targets)
  const rounds = await measureArms(
    bench,
    'comparison',
    arms.map(({ arm }) => arm),
  )
  for (const target of targets.all) {
    const rows = arms.filter((one) => one.target === target)
    const base = armName(CONSTANTS.bare, target)
    bench.print(
      table(
        [
          `${target.name}, ${target.bytes.toLocaleString('en')} bytes`,
          'requests/s',
          'x node:http',
          'of rounds',
          'CPU us',
          'x node:http by CPU',
          'cached',
          'server',
          'wrk',
        ],
        rows.map((one) => row(one, base, rounds)),
      ),
    )
  }
}

function row(
  { label, arm }: ComparedArm,
  base: string,
  rounds: readonly Round<string>[],
): string[] {
  const { name, expected, loadCounter } = arm
  const ratios = ratiosOf(rounds, name, base)
  const isCache = expected !== undefined || loadCounter !== undefined
  const percent = (share: number) => `${Math.round(100 * share)} %`
  return [
    label,
    shown(over(rounds, name, ({ perS }) => perS)),
    ...(typeof ratios === 'string' ? [ratios, ''] : [shown(median(ratios)), shownRange(ratios)]),
    shown(over(rounds, name, ({ cpuUs }) => cpuUs)),
    shown(cpuRatioOf(rounds, name, base)),
    isCache ? percent(over(rounds, name, ({ asExpected }) => asExpected)) : '',
    percent(over(rounds, name, ({ server }) => server.busy)),
    percent(over(rounds, name, ({ client }) => client.busy)),
  ]
}

interface ComparedArm {
  readonly target: Target
  readonly label: string
  readonly arm: Arm<string>
}

/** @throws Error if the systems send different values. */
async function openArms(
  bench: Bench,
  running: ReadonlyMap<System, Service>,
  targets: Targets,
): Promise<readonly ComparedArm[]> {
  const api = running.get(OURS)
  const [profile, projects] = targets.all
  if (!api || !profile || !projects) throw new Error('the API is not running')
  const { body: profileBody, etag } = await fetchBytes(api, profile.path, profile.headers)
  const { body: projectsBody } = await fetchBytes(api, projects.path, projects.headers)
  const files = await writeBytes({ profile: profileBody, projects: projectsBody })
  const bare = await startConstant(bench, 'bench/arms/bare.ts', profile.path, files)
  const express = await startConstant(bench, 'bench/arms/express.ts', profile.path, files)

  const found: ComparedArm[] = []
  for (const [target, expected] of [
    [profile, profileBody],
    [projects, projectsBody],
  ] as const) {
    const add = async (label: string, service: Service, more: Partial<Arm> = {}) => {
      const { path, headers } = target
      const { body } = await fetchBytes(service, path, headers)
      if (!isDeepStrictEqual(parse(body), parse(expected)))
        throw new Error(`${label} sends another value for ${path}`)
      const name = armName(label, target)
      found.push({ target, label, arm: { name, service, paths: [path], headers, ...more } })
    }
    await add(CONSTANTS.bare, bare)
    await add(CONSTANTS.express, express)
    for (const [system, service] of running) {
      const { name, loadCounter } = system
      if (system !== OURS) await add(name, service, { loadCounter })
      else if (target === projects)
        await add(`${name}, logged in`, service, {
          expected: { resource: 'user:projects', outcome: 'hit' },
          headers: { ...target.headers, ...GZIP },
        })
    }
    if (target === profile) {
      const expected = { resource: 'staff:profile', outcome: 'hit' }
      await add(`${OURS.name}, hit`, api, { expected, headers: GZIP })
      const headers = { ...GZIP, 'If-None-Match': etag }
      await add(`${OURS.name}, 304`, api, { expected, headers })
    }
  }
  return found
}

const armName = (label: string, target: Target) => `${label}: ${target.name}`

/** The systems send the same value with other spaces, or with its fields in another order. */
const parse = (body: Buffer): unknown => JSON.parse(body.toString())
