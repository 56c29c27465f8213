import type { Explained, Overview, ShownResource, VerifiedEntry } from '../model.ts'

/** A request that the server rejected, with its reason. */
export class Refused extends Error {
  override readonly name = 'Refused'
}

async function send<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(path, { ...init, signal: AbortSignal.timeout(20_000) })
  const body = (await response.json()) as T & { readonly detail?: string }
  if (!response.ok) throw new Refused(body.detail ?? `status ${response.status}`)
  return body
}

const post = <T>(path: string, what: string, headers: Record<string, string> = {}) =>
  send<T>(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ what }),
  })

export const readOverview = (afterMs: number) => send<Overview>(`console/overview?after=${afterMs}`)
export const readResources = () => send<readonly ShownResource[]>('console/resources')
export const explain = (what: string, userId: string) =>
  send<Explained>(`console/explain?${new URLSearchParams({ what, as: userId }).toString()}`)
export const verify = (key: string) => post<readonly VerifiedEntry[]>('console/verification', key)
export const flush = (what: string, token: string) =>
  post<{ readonly resources: readonly string[]; readonly isDone: boolean }>('console/flush', what, {
    Authorization: `Bearer ${token}`,
  })
