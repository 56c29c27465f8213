import { memo } from './memo.ts'
import { useEffect, useState } from 'preact/hooks'
import { readResources } from './api.ts'
import { count, counted, duration, timeOf } from './format.ts'
import { type Filter, useChanges } from './use-changes.ts'
import { linkTo } from './use-route.ts'
import type { Change, Overview, ShownResource } from './types.ts'

const NO_FILTER: Filter = { table: '', resource: '', key: '' }

/** Changes as they are committed, and the entries that they invalidate. */
export function Live({ overview }: { readonly overview: Overview | null }) {
  const [filter, setFilter] = useState(NO_FILTER)
  const [isPaused, setPaused] = useState(false)
  const [resources, setResources] = useState<readonly ShownResource[]>([])
  const { changes, skipped, isConnected, waiting } = useChanges(filter, isPaused)
  useEffect(() => {
    readResources().then(setResources, () => undefined)
  }, [])
  const tables = [...new Set(resources.flatMap(({ rules }) => rules.map(({ table }) => table)))]
  const set = (name: keyof Filter) => (event: Event) =>
    setFilter({ ...filter, [name]: (event.currentTarget as HTMLInputElement).value.trim() })

  return (
    <section aria-label="Changes">
      <form class="card filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          Table
          <select value={filter.table} onChange={set('table')}>
            <option value="">all</option>
            {tables.toSorted().map((table) => (
              <option key={table}>{table}</option>
            ))}
          </select>
        </label>
        <label>
          Resource
          <select value={filter.resource} onChange={set('resource')}>
            <option value="">all</option>
            {resources.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          Key contains
          <input
            type="search"
            value={filter.key}
            onChange={set('key')}
            placeholder="staff:profile:5"
          />
        </label>
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Resume' : 'Pause'}
        </button>
      </form>
      <p class="quiet note">
        {isConnected
          ? isPaused
            ? `Paused, ${count(waiting)} waiting.`
            : 'Connected.'
          : 'Connecting …'}{' '}
        {skipped > 0 && (
          <strong>{count(skipped)} changes are not shown: there were too many.</strong>
        )}
      </p>
      {/* An invalidator flushes at its start, so the list is never empty for long. */}
      {changes.every(({ operation }) => operation === 'flush') && (
        <div class="card empty">
          <p>No change yet. Changes appear here within a second of their commit.</p>
          {overview?.exampleCommand != null && (
            <pre class="scroll" tabIndex={0} aria-label="Command that changes a row">
              {overview.exampleCommand}
            </pre>
          )}
        </div>
      )}
      {changes.length > 0 && (
        <ol class="card changes" aria-label="Changes, the newest first">
          {changes.map((change) => (
            <Row key={change.id} change={change} />
          ))}
        </ol>
      )}
    </section>
  )
}

const Row = memo(function Row({ change }: { readonly change: Change }) {
  const { atMs, operation, table, columns, rows, entries, more, together, flushed, delayMs } =
    change
  return (
    <li class="change">
      <time class="quiet" dateTime={new Date(atMs).toISOString()}>
        {timeOf(atMs)}
      </time>
      <div>
        <span class={`badge ${operation.replace(' ', '-')}`}>{operation}</span>{' '}
        <strong>{table}</strong>
        {columns !== null && <span class="quiet"> {columns.join(', ')}</span>}
        {rows !== null && <span class="quiet rows"> · {counted(rows, 'row')}</span>}
      </div>
      <div class="entries">
        {flushed.map(({ resource, reason }) => (
          <span key={resource} class="chip flushed">
            flushes {resource} ({reason})
          </span>
        ))}
        {entries.map(({ key }) => (
          <a key={key} class="chip" href={linkTo('explain', { what: key })}>
            {key}
          </a>
        ))}
        {more > 0 && <span class="chip quiet">and {count(more)} more</span>}
        {entries.length + more + flushed.length === 0 && <span class="quiet">no entry</span>}
        {together && <span class="quiet">together with the changes beside it</span>}
      </div>
      <div class="delay">{delayMs === null ? 'running' : duration(delayMs)}</div>
    </li>
  )
})
