import { useEffect, useState } from 'preact/hooks'

export const VIEWS = ['overview', 'live', 'resources', 'explain'] as const
export type View = (typeof VIEWS)[number]

/** Where the address bar points: `#/resources?name=staff:profile`. */
export interface Route {
  readonly view: View
  readonly query: URLSearchParams
}

function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?')
  const view = VIEWS.find((one) => one === path) ?? 'overview'
  return { view, query: new URLSearchParams(query) }
}

/** Returns the address of a view. */
export const linkTo = (view: View, query: Readonly<Record<string, string>> = {}): string => {
  const text = new URLSearchParams(query).toString()
  return `#/${view}${text === '' ? '' : `?${text}`}`
}

/** Returns the current route, and renders again when it changes. */
export function useRoute(): Route {
  const [route, setRoute] = useState(() => parse(location.hash))
  useEffect(() => {
    const onChange = () => setRoute(parse(location.hash))
    addEventListener('hashchange', onChange)
    // The address may have changed since the first rendering.
    onChange()
    return () => removeEventListener('hashchange', onChange)
  }, [])
  return route
}
