import { useEffect, useRef } from 'preact/hooks'
import { Explain } from './explain.tsx'
import { Live } from './live.tsx'
import { Overview } from './overview.tsx'
import { Resources } from './resources.tsx'
import { Status } from './status.tsx'
import { useOverview } from './use-overview.ts'
import { linkTo, useRoute, type View, VIEWS } from './use-route.ts'

const NAMES: Readonly<Record<View, string>> = {
  overview: 'Overview',
  live: 'Live',
  resources: 'Resources',
  explain: 'Explain',
}

/** The console: navigation, the status sentence, and one of four views. */
export function App() {
  const route = useRoute()
  const state = useOverview()
  const main = useRef<HTMLElement>(null)
  const title = state.overview?.title ?? ''
  const isFirst = useRef(true)

  useEffect(() => {
    document.title = `${NAMES[route.view]} · ${title} console`.replace('·  ', '· ')
  }, [route.view, title])
  useEffect(() => {
    // Keyboards and screen readers continue in the new view.
    if (!isFirst.current) main.current?.focus()
    isFirst.current = false
  }, [route.view])

  return (
    <>
      <a class="skip" href="#main" onClick={(event) => focusMain(event, main.current)}>
        Skip to the view
      </a>
      <header class="bar">
        <p class="brand">
          <span class="mark" aria-hidden="true" />
          {title} <span class="quiet">console</span>
        </p>
        <nav aria-label="Views">
          {VIEWS.map((view) => (
            <a
              key={view}
              href={linkTo(view)}
              aria-current={view === route.view ? 'page' : undefined}
            >
              {NAMES[view]}
            </a>
          ))}
        </nav>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <h1 class="hidden">{NAMES[route.view]}</h1>
        <Status state={state} />
        {route.view === 'overview' && <Overview state={state} />}
        {route.view === 'live' && <Live overview={state.overview} />}
        {route.view === 'resources' && <Resources query={route.query} />}
        {route.view === 'explain' && <Explain query={route.query} overview={state.overview} />}
      </main>
    </>
  )
}

function focusMain(event: Event, main: HTMLElement | null): void {
  event.preventDefault()
  main?.focus()
}
