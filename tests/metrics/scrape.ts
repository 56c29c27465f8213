/** One sample of a scrape. */
export interface Sample {
  /** Without the suffix `_bucket`, `_sum` or `_count` of a histogram. */
  readonly metric: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** The samples of the `/metrics` responses of several processes. */
export class Scrape {
  /** Types by metric, including metrics without samples. */
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

  /** Returns the metric of a sample's name. */
  metricOf(name: string): string {
    const base = name.replace(/_(bucket|sum|count)$/, '')
    return this.types.get(base) === 'histogram' ? base : name
  }

  /** Returns the samples with this name and these labels. */
  find(name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
    return this.samples.filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
  }

  /** Returns the sum of the matching samples; 0 if there are none. */
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
