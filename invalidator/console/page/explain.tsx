import { useEffect, useRef, useState } from 'preact/hooks'
import { explain, flush, verify } from './api.ts'
import { bytes, count, counted, duration, timeOf } from './format.ts'
import { describe } from './resources.tsx'
import { linkTo } from './use-route.ts'
import type { Change, Explained, ExplainedVariant, Overview } from './types.ts'

type Entry = Explained['entries'][number]
/** Result of an action, in words. */
interface Outcome {
  readonly kind: 'right' | 'wrong'
  readonly text: string
}

/** One entry, or all entries that a URL reads. */
export function Explain({
  query,
  overview,
}: {
  readonly query: URLSearchParams
  readonly overview: Overview | null
}) {
  const [what, setWhat] = useState(query.get('what') ?? '')
  const [userId, setUserId] = useState(query.get('as') ?? '')
  const [explained, setExplained] = useState<Explained | null>(null)
  const [failure, setFailure] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)

  const latest = useRef('')
  const asked = query.get('what') ?? ''
  const askedAs = query.get('as') ?? ''
  const run = async () => {
    const question = `${asked}\n${askedAs}`
    latest.current = question
    if (asked === '') return
    setBusy(true)
    try {
      const found = await explain(asked, askedAs)
      // Another question may have been sent meanwhile.
      if (latest.current !== question) return
      setExplained(found)
      setFailure(null)
    } catch (error) {
      if (latest.current !== question) return
      setExplained(null)
      setFailure(error instanceof Error ? error.message : String(error))
    }
    setBusy(false)
  }
  useEffect(() => {
    setWhat(asked)
    setUserId(askedAs)
    setExplained(null)
    setFailure(null)
    void run()
  }, [asked, askedAs])

  const submit = (event: Event) => {
    event.preventDefault()
    const hash = linkTo('explain', {
      what: what.trim(),
      ...(userId.trim() && { as: userId.trim() }),
    })
    if (location.hash === hash) void run()
    else location.hash = hash
  }
  return (
    <>
      <form class="card filters" onSubmit={submit}>
        <label class="wide">
          URL or key
          <input
            required
            spellcheck={false}
            autocomplete="off"
            value={what}
            placeholder="/api/v1/users/staffprofiles/5/overview"
            onInput={(event) => setWhat(event.currentTarget.value)}
          />
        </label>
        <label>
          As user (id)
          <input
            inputMode="numeric"
            pattern="\d*"
            autocomplete="off"
            value={userId}
            onInput={(event) => setUserId(event.currentTarget.value)}
          />
        </label>
        <button type="submit" disabled={isBusy}>
          Explain
        </button>
      </form>
      <div aria-live="polite" aria-busy={isBusy}>
        {failure !== null && (
          <p class="card problem" role="alert">
            {failure}
          </p>
        )}
        {explained?.status != null && (
          <p class="note">
            The request returns {explained.status} and reads{' '}
            {explained.entries.length === 0
              ? 'no cached entry'
              : counted(explained.entries.length, 'entry', 'entries')}
            .{explained.status === 401 && ' It needs a session: fill in the id of a user.'}
          </p>
        )}
        {explained?.entries.map((entry) => (
          <EntryView
            key={`${entry.key} ${entry.variants.map(({ name }) => name).join()}`}
            entry={entry}
            canFlush={overview?.canFlush ?? false}
            onChange={() => void run()}
          />
        ))}
        {explained === null && failure === null && asked === '' && (
          <p class="card empty">
            Paste the path of a request, such as <code>/api/v1/agencies/branches</code>, or a key,
            such as <code>staff:profile:5</code>.
          </p>
        )}
      </div>
    </>
  )
}

function EntryView({
  entry,
  canFlush,
  onChange,
}: {
  readonly entry: Entry
  readonly canFlush: boolean
  readonly onChange: () => void
}) {
  const { resource, bareKey, key, variants, foreignType, watermarkAgeMs, rules, changes } = entry
  const isCached = variants.some(({ state }) => state === 'cached')
  return (
    <article class="card entry" data-key={key}>
      <header>
        <h2>
          <code>{bareKey}</code>
        </h2>
        <a href={linkTo('resources', { name: resource })}>{resource}</a>
        <span class={`badge ${isCached ? 'right' : ''}`}>{isCached ? 'cached' : 'not cached'}</span>
      </header>
      {foreignType !== null && (
        <p class="problem">Another program wrote a {foreignType} to this key. It is not used.</p>
      )}
      {variants.length > 0 && <Variants variants={variants} of={bareKey} />}
      <p>
        {watermarkAgeMs === null
          ? 'No invalidator uses this Redis: entries expire after the bound on staleness.'
          : `All changes up to ${duration(watermarkAgeMs)} ago are applied.`}
      </p>
      <Actions entry={entry} canFlush={canFlush} onChange={onChange} />
      <h3>Changes that made it stale</h3>
      {changes.length === 0 ? (
        <p class="quiet">None among the last recorded changes.</p>
      ) : (
        <ul class="plain">
          {changes.map((change) => (
            <li key={change.id}>{describeChange(change)}</li>
          ))}
        </ul>
      )}
      <details>
        <summary>Changes that would make it stale ({rules.length} rules)</summary>
        <ul class="plain">
          {rules.map((rule, at) => (
            <li key={at}>{describe(rule)}</li>
          ))}
        </ul>
      </details>
    </article>
  )
}

const describeChange = ({ atMs, operation, table, columns, delayMs }: Change) =>
  `${timeOf(atMs)} ${[operation, table].filter(Boolean).join(' of ')}` +
  (columns === null ? '' : ` (${columns.join(', ')})`) +
  (delayMs === null ? '' : `, applied after ${duration(delayMs)}`)

function Variants({
  variants,
  of,
}: {
  readonly variants: readonly ExplainedVariant[]
  readonly of: string
}) {
  return (
    <div class="scroll" role="region" aria-label={`Variants of ${of}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Variant</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col" class="number">
              In Redis
            </th>
            <th scope="col" class="number">
              Since
            </th>
            <th scope="col" class="number">
              Fresh for
            </th>
          </tr>
        </thead>
        <tbody>
          {variants.map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              <td>{one.bytes === null ? `${one.state} (does not exist)` : one.state}</td>
              <td class="number">{one.bytes == null ? '–' : `${count(one.bytes)} B`}</td>
              <td class="number">
                {one.storedBytes === undefined
                  ? bytes(one.bytes)
                  : `${bytes(one.storedBytes)} ${one.encoding}`}
              </td>
              <td class="number">
                {one.cachedForMs === undefined ? '–' : duration(one.cachedForMs)}
              </td>
              <td class="number">{one.state === 'cached' ? duration(one.freshForMs) : '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Actions({
  entry,
  canFlush,
  onChange,
}: {
  readonly entry: Entry
  readonly canFlush: boolean
  readonly onChange: () => void
}) {
  const [outcome, setOutcome] = useState<Outcome | null>(null)
  const [token, setToken] = useState('')
  const [isBusy, setBusy] = useState(false)

  const run = (action: () => Promise<Outcome>) => async () => {
    setBusy(true)
    setOutcome(
      await action().catch((error: unknown): Outcome => ({
        kind: 'wrong',
        text: error instanceof Error ? error.message : String(error),
      })),
    )
    setBusy(false)
  }
  const compare = run(async () => {
    const found = await verify(entry.key)
    const bad = found.filter(({ outcome }) => outcome !== 'right' && outcome !== 'changed')
    if (found.length === 0)
      return { kind: 'right', text: 'Nothing is cached, so there is nothing to compare.' }
    return bad.length === 0
      ? {
          kind: 'right',
          text: `Equal to Postgres: ${found.map(({ variant, outcome }) => `${variant} ${outcome}`).join(', ')}.`,
        }
      : {
          kind: 'wrong',
          text: bad.map(({ variant, outcome }) => `${variant} is ${outcome}`).join(', '),
        }
  })
  const remove = run(async () => {
    const { resources, isDone } = await flush(entry.bareKey, token)
    onChange()
    return isDone
      ? { kind: 'right', text: `Flushed ${resources.join(', ')}.` }
      : { kind: 'wrong', text: 'Requested, but no invalidator has applied it within 15 s.' }
  })
  return (
    <div class="actions">
      <button type="button" disabled={isBusy} onClick={() => void compare()}>
        Verify
      </button>
      {canFlush && (
        <>
          <label>
            Token
            <input
              type="password"
              autocomplete="off"
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          </label>
          <button type="button" disabled={isBusy || token === ''} onClick={() => void remove()}>
            Flush the resource
          </button>
        </>
      )}
      {!canFlush && (
        <span class="quiet">Read-only: without CONSOLE_TOKEN nothing can be flushed here.</span>
      )}
      <p role="status" class={outcome === null ? 'hidden' : `outcome ${outcome.kind}`}>
        {outcome?.text}
      </p>
    </div>
  )
}
