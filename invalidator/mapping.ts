import type { Event, InstalledRules, InstalledTable } from '../db/event-log/index.ts'
import {
  columnsOf,
  type DirectRule,
  isLookup,
  keyOfRow,
  type LookupRule,
  type ResourceRules,
} from '../shared/cache/index.ts'
import { LIMITS } from './limits.ts'
import { concerns } from './pattern.ts'

/** Entries and resources that a window makes stale, before lookups are run. */
export interface Mapped {
  /** Entry keys by resource name. */
  readonly keys: Map<string, Set<string>>
  /** Resources to flush, with the reason. */
  readonly flush: Map<string, FlushReason>
  readonly lookups: readonly Lookup[]
}

export type FlushReason =
  | Event['op']
  | 'unknown version'
  | 'backlog'
  | 'wide keys'
  | 'too many keys'
  | 'lookup failed'
  | 'mapping failed'
  | 'no watermark'
  | 'key version'
  | 'other triggers or rules'

/** A query to run in the window's snapshot, with the rows of arguments from its events. */
export interface Lookup {
  readonly resource: ResourceRules
  readonly rule: LookupRule
  /** One array per `from` column, as the query expects them. */
  readonly values: readonly (readonly string[])[]
}

/**
 * Maps events to entries. It works by column names, so it can read events of any build's triggers.
 */
export interface Mapping {
  /** Begins a window. Its events are added in pieces, so that the event loop is not blocked. */
  begin(resources: readonly ResourceRules[], coarse: boolean): MappingOfWindow
  map(events: readonly Event[], resources: readonly ResourceRules[], coarse: boolean): Mapped
}

export interface MappingOfWindow {
  add(events: readonly Event[]): void
  finish(): Mapped
}

/** Sets of changed columns whose rules are remembered. */
const MAX_CHANGES = 1_000

/** Creates a mapping for one state of the installed rules. */
export function createMapping(
  catalog: readonly ResourceRules[],
  rules: InstalledRules,
  prefix: string,
): Mapping {
  const routesByTable = new Map<string, readonly Route[] | null>()
  // Many events change the same columns of the same table.
  const routesByChange = new Map<string, readonly Route[] | null>()

  /** Returns the rules that an event concerns; `null` for an unknown version. */
  function routesOf(event: Event): readonly Route[] | null {
    const { version, tableId, changed } = event
    const id = `${version}/${tableId}/${changed}`
    let routes = routesByChange.get(id)
    if (routes === undefined) {
      routes = routesInto(event)?.filter(({ bits }) => isConcerned(bits, changed)) ?? null
      if (routesByChange.size >= MAX_CHANGES) routesByChange.clear()
      routesByChange.set(id, routes)
    }
    return routes
  }

  /** Returns the rules of the table of an event; `null` for an unknown version. */
  function routesInto({ version, tableId }: Event): readonly Route[] | null {
    const id = `${version}/${tableId}`
    let routes = routesByTable.get(id)
    if (routes === undefined) {
      const table = rules.find(version, tableId)
      routes = table && catalog.flatMap((resource) => routesOfResource(resource, table, prefix))
      routesByTable.set(id, routes)
    }
    return routes
  }

  function begin(resources: readonly ResourceRules[], coarse: boolean): MappingOfWindow {
    const owned = new Set(resources)
    const keys = new Map<string, Set<string>>()
    const flush = new Map<string, FlushReason>()
    const lookupRows = new Map<Route, Map<string, readonly string[]>>()
    let chars = 0

    const flushReaders = (event: Event, reason: FlushReason) => {
      const table = rules.nameOf(event.tableId)
      for (const resource of owned) {
        // Any resource may depend on a table that is not known.
        if (table === null || reads(resource, table)) flush.set(resource.name, reason)
      }
    }

    function addKey({ name }: ResourceRules, key: string): void {
      const found = keys.get(name) ?? new Set()
      const { size } = found
      if (found.add(key).size === size) return
      if (size === 0) keys.set(name, found)
      chars += key.length
      if (size < LIMITS.keysPerResource && chars <= LIMITS.keyChars) return
      flush.set(name, 'too many keys')
      for (const gone of found) chars -= gone.length
      keys.delete(name)
    }

    function addLookupRow(route: Route, values: readonly string[]): void {
      const count = collect(lookupRows, route, values)
      if (count <= LIMITS.lookupArguments) return
      flush.set(route.resource.name, 'too many keys')
      lookupRows.delete(route)
    }

    function addEvent(event: Event): void {
      if (event.op === 'F') {
        for (const resource of owned) {
          const isMatch = event.keys === null || concerns(String(event.keys[0]), resource)
          if (isMatch) flush.set(resource.name, 'F')
        }
        return
      }
      const routes = routesOf(event)
      if (routes === null) return flushReaders(event, 'unknown version')
      if (coarse) return flushReaders(event, 'backlog')
      if (event.keys === null) {
        return flushReaders(event, 'IUD'.includes(event.op) ? 'wide keys' : event.op)
      }
      for (const route of routes) {
        if (!owned.has(route.resource)) continue
        if (route.positions === null) {
          flush.set(route.resource.name, 'unknown version')
          continue
        }
        for (const row of event.keys as readonly (readonly (string | null)[])[]) {
          // A flush deletes all entries, so it needs no keys.
          if (flush.has(route.resource.name)) break
          if (route.keyOf !== null) {
            const key = route.keyOf(row)
            if (key !== null) addKey(route.resource, key)
            continue
          }
          const values = route.positions.map((position) => row[position])
          if (values.every((value) => value != null)) addLookupRow(route, values)
        }
      }
    }

    return {
      add(events) {
        for (const event of events) addEvent(event)
      },
      finish() {
        const lookups = [...lookupRows]
          .filter(([{ resource }]) => !flush.has(resource.name))
          .map(([route, rows]) => toLookup(route, [...rows.values()]))
        return { keys, flush, lookups }
      },
    }
  }

  return {
    begin,
    map(events, resources, coarse) {
      const window = begin(resources, coarse)
      window.add(events)
      return window.finish()
    },
  }
}

/** Whether a resource depends on a table, directly or through a lookup. */
const reads = (resource: ResourceRules, table: string) =>
  resource.staleWhen.some((rule) => rule.table === table)

/** One rule of one resource, for one version of its table. */
interface Route {
  readonly resource: ResourceRules
  readonly rule: DirectRule | LookupRule
  /** The event concerns the rule if any of these columns changed. */
  readonly bits: bigint
  /**
   * Positions of the rule's columns in each row of keys; `null` if that version does not log one of
   * them.
   */
  readonly positions: readonly number[] | null
  /** Returns the key that a row names, or null; `null` for a lookup and without positions. */
  readonly keyOf: ((row: readonly (string | null)[]) => string | null) | null
}

function routesOfResource(resource: ResourceRules, table: InstalledTable, prefix: string): Route[] {
  return resource.staleWhen
    .filter((rule) => rule.table === table.name)
    .map((rule) => {
      const columns = columnsOf(rule)
      const positions = columns.map((column) => table.keys.indexOf(column))
      const watched = rule.watch.map((column) => table.watch.indexOf(column))
      // A row that moves to another entry concerns both entries. A changed primary key sets every
      // bit.
      const moving = columns.map((column) => table.watch.indexOf(column)).filter((bit) => bit >= 0)
      return {
        resource,
        rule,
        // This version did not watch the column, so any change may include it.
        bits: watched.includes(-1)
          ? ALL
          : [...watched, ...moving].reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n),
        positions: positions.includes(-1) ? null : positions,
        keyOf:
          isLookup(rule) || positions.includes(-1)
            ? null
            : keyOfRow(prefix, resource, positionsOf(rule, positions)),
      }
    })
}

/** Returns the positions of a rule's parameters, given those of its columns. */
const positionsOf = ({ key }: DirectRule, positions: readonly number[]) =>
  Object.fromEntries(Object.keys(key).map((param, at) => [param, positions[at] as number]))

/** Mask of inserted and deleted rows. */
const ALL = -1n

const isConcerned = (bits: bigint, changed: bigint) => changed === ALL || (changed & bits) !== 0n

function collect(
  all: Map<Route, Map<string, readonly string[]>>,
  route: Route,
  values: readonly string[],
): number {
  const rows = all.get(route) ?? new Map<string, readonly string[]>()
  all.set(route, rows)
  rows.set(JSON.stringify(values), values)
  return rows.size
}

function toLookup({ resource, rule }: Route, rows: readonly (readonly string[])[]): Lookup {
  const { from } = rule as LookupRule
  return {
    resource,
    rule: rule as LookupRule,
    values: from.map((_, column) => rows.map((row) => row[column] as string)),
  }
}

/** Adds an entry to those that will be deleted for a resource. */
export function add(keys: Map<string, Set<string>>, { name }: ResourceRules, key: string): void {
  const known = keys.get(name)
  if (known) known.add(key)
  else keys.set(name, new Set([key]))
}
