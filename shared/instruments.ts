import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** What is told by asking, at the moment of a scrape. Nothing at all is better than an old value. */
type Readings<L extends string> = Iterable<
  readonly [labels: Readonly<Record<L, string>>, value: number]
>

/** A counter for what happens with every request. */
export interface Tally {
  /** The count of one combination of labels, in their order: add to its `n`. */
  of(...values: readonly string[]): { n: number }
}

/** Makes the metrics of one registry. */
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
  /** Counts in plain numbers and tells them when it is asked: a tenth of what a counter costs. */
  tally(name: string, help: string, ...labelNames: readonly string[]): Tally
  /** A gauge that is read when it is asked for. */
  reading<L extends string = never>(
    name: string,
    help: string,
    read: () => Readings<L>,
    ...labelNames: readonly L[]
  ): void
  /** A counter whose sum somebody else keeps; `undefined` while they cannot be asked. */
  sum(name: string, help: string, read: () => number | undefined): void
}

/** Everything that is counted or measured is made here, so that no two metrics differ in form. */
export function createInstruments(registry: Registry): Instruments {
  const registers = [registry]
  return {
    counter: (name, help, ...labelNames) => new Counter({ name, help, labelNames, registers }),
    gauge: (name, help, ...labelNames) => new Gauge({ name, help, labelNames, registers }),
    histogram: (name, help, buckets, ...labelNames) =>
      new Histogram({ name, help, labelNames, buckets: [...buckets], registers }),

    tally(name, help, ...labelNames) {
      const root = newNode()
      const counter = new Counter({
        name,
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

    reading(name, help, read, ...labelNames) {
      const gauge = new Gauge({
        name,
        help,
        labelNames,
        registers: [],
        collect() {
          this.reset()
          // Without labels a reset leaves a zero behind.
          if (labelNames.length === 0) this.remove()
          for (const [labels, value] of read()) this.set(labels, value)
        },
      })
      registry.registerMetric(gauge)
    },

    sum(name, help, read) {
      const counter = new Counter({
        name,
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
  }
}

/** Labels are looked up one after the other: no text has to be made of them. */
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
