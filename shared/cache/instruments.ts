import { Counter, Gauge, Histogram, type Metric, type Registry } from 'prom-client'

/** Values that are read at the moment of a scrape. No value is better than an old one. */
type Readings<L extends string> = Iterable<
  readonly [labels: Readonly<Record<L, string>>, value: number]
>

/** A counter for events that occur in every request. */
export interface Tally {
  /** Returns the count of one combination of labels, in their order. Add to its `n`. */
  of(...values: readonly string[]): { n: number }
}

/** A histogram for events that occur in every request. */
export interface Timings {
  /** Returns the durations of one value of the label. Keep it: a look-up costs more than an observation. */
  of(value: string): Durations
}

/** Durations in seconds. */
export interface Durations {
  observe(seconds: number): void
}

/** One value of a metric, as it is exported. */
export interface MetricValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number | undefined>>
  /** Name of the sample, if a metric has several: `app_seconds_bucket`. */
  readonly metricName?: string
}

/** Creates the metrics of one registry. */
export interface Instruments {
  counter<L extends string = never>(
    name: string,
    help: string,
    ...labelNames: readonly L[]
  ): Counter<L>
  gauge<L extends string = never>(name: string, help: string, ...labelNames: readonly L[]): Gauge<L>
  histogram<L extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    ...labelNames: readonly L[]
  ): Histogram<L>
  /**
   * Creates a counter that adds plain numbers and exports them at a scrape. It costs a tenth of
   * `counter`.
   */
  tally(name: string, help: string, ...labelNames: readonly string[]): Tally
  /**
   * Creates a histogram that counts in plain numbers and exports them at a scrape. It costs a tenth of
   * `histogram`.
   */
  timings(name: string, help: string, buckets: readonly number[], labelName: string): Timings
  /** Creates a gauge that is read at a scrape. */
  reading<L extends string = never>(
    name: string,
    help: string,
    read: () => Readings<L>,
    ...labelNames: readonly L[]
  ): void
  /**
   * Creates a counter of a sum that another system keeps; `undefined` while that system is
   * unavailable.
   */
  sum(name: string, help: string, read: () => number | undefined): void
  /** Returns the present values of a metric of this registry; none if it does not exist. */
  values(name: string): Promise<readonly MetricValue[]>
}

/**
 * Creates the instruments of a registry. All metrics are made by them, so that they have one form. The
 * prefix is the first part of every name: `app` makes `app_loads_total` of `loads_total`.
 */
export function createInstruments(registry: Registry, prefix?: string): Instruments {
  const registers = [registry]
  const named = (name: string) => (prefix === undefined ? name : `${prefix}_${name}`)
  return {
    counter: (name, help, ...labelNames) =>
      new Counter({ name: named(name), help, labelNames, registers }),
    gauge: (name, help, ...labelNames) =>
      new Gauge({ name: named(name), help, labelNames, registers }),
    histogram: (name, help, buckets, ...labelNames) =>
      new Histogram({ name: named(name), help, labelNames, buckets: [...buckets], registers }),

    tally(name, help, ...labelNames) {
      const root = newNode()
      const counter = new Counter({
        name: named(name),
        help,
        labelNames,
        registers: [],
        collect() {
          for (const [values, leaf] of leavesOf(root)) {
            this.labels(...values).inc(leaf.n)
            leaf.n = 0
          }
        },
      })
      registry.registerMetric(counter)
      return {
        of(...values) {
          let node = root
          for (const value of values) node = node.next.get(value) ?? grow(node, value)
          return node
        },
      }
    },

    timings(name, help, buckets, labelName) {
      const distributions = new Map<string, Distribution>()
      const metric = {
        name: named(name),
        help,
        type: 'histogram',
        aggregator: 'sum',
        get() {
          const { name, help, type, aggregator } = metric
          const values = [...distributions].flatMap(([label, distribution]) =>
            distribution.values(name, { [labelName]: label }),
          )
          return { name, help, type, aggregator, values }
        },
      }
      // A registry uses only these members of a metric.
      registry.registerMetric(metric as unknown as Metric)
      return {
        of(value) {
          const known = distributions.get(value)
          if (known !== undefined) return known
          const created = new Distribution(buckets)
          distributions.set(value, created)
          return created
        },
      }
    },

    reading(name, help, read, ...labelNames) {
      const gauge = new Gauge({
        name: named(name),
        help,
        labelNames,
        registers: [],
        collect() {
          this.reset()
          // Without labels, `reset` leaves a zero.
          if (labelNames.length === 0) this.remove()
          for (const [labels, value] of read()) this.set(labels, value)
        },
      })
      registry.registerMetric(gauge)
    },

    sum(name, help, read) {
      const counter = new Counter({
        name: named(name),
        help,
        registers: [],
        collect() {
          this.reset()
          const value = read()
          if (value === undefined) this.remove()
          else this.inc(value)
        },
      })
      registry.registerMetric(counter)
    },

    async values(name) {
      const found = await registry.getSingleMetric(named(name))?.get()
      return found?.values ?? []
    },
  }
}

/** Labels are looked up one after another, so that no key has to be concatenated. */
interface Node {
  n: number
  readonly next: Map<string, Node>
}

const newNode = (): Node => ({ n: 0, next: new Map() })

function grow(node: Node, value: string): Node {
  const child = newNode()
  node.next.set(value, child)
  return child
}

function* leavesOf(
  node: Node,
  values: readonly string[] = [],
): Iterable<[readonly string[], Node]> {
  for (const [value, child] of node.next) {
    const path = [...values, value]
    if (child.next.size === 0) yield [path, child]
    else yield* leavesOf(child, path)
  }
}

/** Number of durations in each bucket, and their sum. */
class Distribution implements Durations {
  readonly #bounds: readonly number[]
  /** One more than there are bounds: durations above all of them. */
  readonly #counts: number[]
  #sum = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = [...bounds, Infinity].map(() => 0)
  }

  observe(seconds: number): void {
    const { length } = this.#bounds
    let at = 0
    while (at < length && seconds > (this.#bounds[at] as number)) at++
    this.#counts[at] = (this.#counts[at] as number) + 1
    this.#sum += seconds
  }

  /** Returns the exported values: each bucket includes those below it. */
  values(name: string, labels: Readonly<Record<string, string>>) {
    let count = 0
    const buckets = this.#counts.map((n, at) => ({
      metricName: `${name}_bucket`,
      labels: { le: this.#bounds[at] ?? '+Inf', ...labels },
      value: (count += n),
    }))
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ]
  }
}
