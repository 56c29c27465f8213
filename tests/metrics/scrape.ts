/** One sample of a scrape. */
export interface Sample {
  /** Of a histogram without `_bucket`, `_sum` or `_count`. */
  readonly metric: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What processes tell at `/metrics`. */
export class Scrape {
  /** Types by metric, with those that have no sample yet. */
  readonly types = new Map<string, string>()
  readonly samples: Sample[] = []

  constructor(texts: readonly string[]) {
    for (const text of texts) {
      let metric = ''
      for (const line of text.split('\n')) {
        const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
        if (name !== undefined && type !== undefined) this.types.set((metric = name), type)
        else if (line !== '' && !line.startsWith('#')) this.samples.push(parse(line, metric))
      }
    }
  }

  /** The metric that a sample's name belongs to. */
  metricOf(name: string): string {
    const base = name.replace(/_(bucket|sum|count)$/, '')
    return this.types.get(base) === 'histogram' ? base : name
  }

  /** The samples of one name that have these labels. */
  find(name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
    return this.samples.filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
  }

  /** Their sum; 0 when there are none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.find(name, labels).reduce((sum, { value }) => sum + value, 0)
  }
}

function parse(line: string, metric: string): Sample {
  const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
  if (name === '') throw new Error(`no sample: ${line}`)
  return {
    metric,
    name,
    labels: Object.fromEntries(
      [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [label, text]),
    ),
    value: value === '+Inf' ? Infinity : Number(value),
  }
}
