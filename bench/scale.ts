import type { Figure } from './figure.ts'
import type { Part } from './bench.ts'
import { backlog } from './scale/backlog.ts'
import { edit } from './scale/edit.ts'
import { emptied } from './scale/emptied.ts'
import { replicas } from './scale/replicas.ts'
import { stream } from './scale/stream.ts'

/** Measures large numbers: entries of one edit, invalidators, commits, events in a backlog, and misses. */
export const scale: Part = async (bench) => {
  const figures: Figure[] = []
  for (const part of [edit, replicas, stream, backlog, emptied])
    figures.push(...(await part(bench)))
  return figures
}
