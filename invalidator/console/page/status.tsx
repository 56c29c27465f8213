import type { OverviewState } from './use-overview.ts'
import type { Headline } from './types.ts'

/** Headline of a page that has lost its server. */
const LOST: Pick<Headline, 'kind' | 'remedy'> = {
  kind: 'wrong',
  remedy: 'Start an invalidator, or open the console of another one. This page connects by itself.',
}

/** One sentence about the whole system. It is always visible. */
export function Status({ state }: { readonly state: OverviewState }) {
  const { overview, failure } = state
  if (overview === null && failure === null) return <p class="status waiting">Connecting …</p>
  const headline =
    failure === null || overview?.headline === undefined
      ? (overview?.headline ?? { ...LOST, text: sentenceOf(failure) })
      : { ...LOST, text: sentenceOf(failure) }
  return (
    <section class={`status ${headline.kind}`} aria-label="Status">
      <p class="sentence">
        <span class="badge">{headline.kind === 'right' ? 'Right' : 'Wrong'}</span>
        <span data-testid="sentence">{headline.text}</span>
      </p>
      {headline.remedy !== null && (
        <p class="remedy">
          <strong>Do:</strong> {headline.remedy}
        </p>
      )}
      {/* The age in the sentence changes all the time, so only a change of the state is announced. */}
      <p class="hidden" role="status">
        {headline.kind === 'right' ? 'The cache is right.' : headline.text}
      </p>
    </section>
  )
}

const sentenceOf = (failure: string | null) =>
  `The invalidator of this page has no answer: ${failure ?? 'it is starting'}.`
