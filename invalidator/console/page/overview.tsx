import { bytes, count, duration, percent } from './format.ts'
import { Plot } from './plot.tsx'
import type { OverviewState } from './use-overview.ts'
import { linkTo } from './use-route.ts'
import type { Overview as OverviewData, ShownPoint } from './types.ts'

/** The whole system: findings, figures of the last 15 minutes, processes. */
export function Overview({ state }: { readonly state: OverviewState }) {
  const { overview, points } = state
  if (overview === null) return null
  return (
    <>
      <Findings findings={overview.findings} />
      <Figures points={points} overview={overview} />
      <Plots points={points} />
      <Processes overview={overview} />
      {overview.exampleCommand !== null && <FirstVisit command={overview.exampleCommand} />}
    </>
  )
}

function Findings({ findings }: Pick<OverviewData, 'findings'>) {
  if (findings.length === 0) return null
  return (
    <section class="card" aria-labelledby="findings">
      <h2 id="findings">Findings</h2>
      <ul class="findings">
        {findings.map(({ kind, what, why, remedy }) => (
          <li key={what}>
            <p>
              <span class={`badge ${kind}`}>{kind}</span> <strong>{what}</strong>
            </p>
            <p class="quiet">{why}</p>
            <p>
              <strong>Do:</strong> {remedy}
            </p>
          </li>
        ))}
      </ul>
    </section>
  )
}

const sumOf = (points: readonly ShownPoint[], read: (point: ShownPoint) => number) =>
  points.reduce((sum, point) => sum + read(point), 0)

function lastOf<K extends keyof ShownPoint>(points: readonly ShownPoint[], name: K) {
  return points.findLast((point) => point[name] !== null)?.[name] ?? null
}

function Figures({
  points,
  overview,
}: {
  readonly points: readonly ShownPoint[]
  readonly overview: OverviewData
}) {
  const hits = sumOf(points, (point) => point.hits)
  const reads = sumOf(points, ({ hits, misses, stale, bypasses }) => {
    return hits + misses + stale + bypasses
  })
  const last = points.at(-1)
  const max = overview.redisMaxBytes
  const figures = [
    ['Hit rate', percent(hits, reads), 'last 15 minutes'],
    ['Delay p50', duration(lastOf(points, 'lagP50Ms')), 'after the commit'],
    ['Delay p99', duration(lastOf(points, 'lagP99Ms')), 'after the commit'],
    ['Events', last === undefined ? '–' : `${count(last.events)}/s`, 'changes in the log'],
    ['Loads saved', last === undefined ? '–' : `${count(last.saved)}/s`, 'reads without a load'],
    ['Redis', bytes(last?.redisBytes), max === null ? 'no limit' : `of ${bytes(max)}`],
    ['Watermark', duration(last?.watermarkAgeMs), 'age of the oldest'],
  ]
  return (
    <dl class="figures">
      {figures.map(([name, value, note]) => (
        <div key={name} class="card figure">
          <dt>{name}</dt>
          <dd>
            <span class="value">{value}</span>
            <span class="quiet">{note}</span>
          </dd>
        </div>
      ))}
    </dl>
  )
}

const rate = (value: number | null) => (value === null ? '–' : `${count(value)}/s`)

function Plots({ points }: { readonly points: readonly ShownPoint[] }) {
  const times = points.map(({ atMs }) => atMs)
  const line = (label: string, colour: string, name: keyof ShownPoint) => ({
    label,
    colour,
    values: points.map((point) => point[name]),
  })
  return (
    <section aria-labelledby="plots">
      <h2 id="plots">Last 15 minutes</h2>
      <div class="plots">
        <Plot
          title="Reads"
          times={times}
          format={rate}
          lines={[
            line('hits', 'teal', 'hits'),
            line('misses', 'amber', 'misses'),
            line('bypasses', 'violet', 'bypasses'),
          ]}
        />
        <Plot
          title="Commit to invalidation"
          times={times}
          format={duration}
          lines={[line('p50', 'teal', 'lagP50Ms'), line('p99', 'amber', 'lagP99Ms')]}
        />
        <Plot
          title="Events"
          times={times}
          format={rate}
          lines={[line('events', 'blue', 'events')]}
        />
        <Plot
          title="Loads saved"
          times={times}
          format={rate}
          lines={[line('saved', 'teal', 'saved')]}
        />
        <Plot
          title="Redis memory"
          times={times}
          format={bytes}
          lines={[line('used', 'violet', 'redisBytes')]}
        />
        <Plot
          title="Oldest watermark"
          times={times}
          format={duration}
          lines={[line('age', 'blue', 'watermarkAgeMs')]}
        />
      </div>
    </section>
  )
}

function Processes({ overview }: { readonly overview: OverviewData }) {
  const { processes, sessions } = overview
  return (
    <section class="card" aria-labelledby="processes">
      <h2 id="processes">Processes</h2>
      {processes.length === 0 && (
        <p class="quiet">
          No process reports to Redis. Postgres lists{' '}
          {sessions === null ? 'nothing: it does not answer' : `${sessions.length} invalidators`}.
        </p>
      )}
      {processes.length > 0 && (
        <div class="scroll" role="region" aria-label="Table of processes" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Process</th>
                <th scope="col">Version</th>
                <th scope="col">Host</th>
                <th scope="col" class="number">
                  Uptime
                </th>
                <th scope="col" class="number">
                  Memory
                </th>
                <th scope="col">Owns or reads</th>
              </tr>
            </thead>
            <tbody>
              {processes.map((one) => (
                <tr key={one.id}>
                  <th scope="row">
                    {one.application}
                    {one.isThis && <span class="badge">this page</span>}
                  </th>
                  <td>{one.version}</td>
                  <td>
                    {one.host} <span class="quiet">pid {one.pid}</span>
                  </td>
                  <td class="number">{duration(Date.now() - one.startedAtMs)}</td>
                  <td class="number">{bytes(one.residentBytes)}</td>
                  <td>
                    {one.owned.length > 0 ? (
                      <details>
                        <summary>{one.owned.length} resources</summary>
                        {one.owned.join(', ')}
                      </details>
                    ) : (
                      `${count(one.reads)} reads`
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function FirstVisit({ command }: { readonly command: string }) {
  return (
    <section class="card" aria-labelledby="try">
      <h2 id="try">Try it</h2>
      <p>
        Open <a href={linkTo('live')}>Live</a>, then change a row by SQL. The change appears there
        with the entries that it makes stale.
      </p>
      <pre class="scroll" tabIndex={0} aria-label="Command that changes a row">
        {command}
      </pre>
    </section>
  )
}
