import {
  beginReading,
  createInspection,
  type Installation,
  NotOneSession,
  readHead,
  type ReadSnapshot,
  readWindow,
  type Snapshot,
  type Window,
  type WorkerSession,
} from '../db/event-log/index.ts'
import type { Watermark } from '../shared/cache/index.ts'
import { every } from './every.ts'

/** A snapshot, and what was read in it. Its transaction is still open. */
export interface WindowReading {
  readonly readSnapshot: ReadSnapshot
  /** Of the last inspection. */
  readonly installation: Installation
  /**
   * Returns the window since a snapshot. A large one is read on demand, so that only one is in memory.
   */
  since(snapshot: Snapshot): Promise<Window>
}

export interface WindowReaderDeps {
  readonly session: Pick<WorkerSession, 'client' | 'backend'>
  /** Reads the installed rules. A new installation numbers its versions and tables anew. */
  readonly learnRules: () => Promise<unknown>
  /** Interval of inspections, in ms: they detect changes to the installation that fire no trigger. */
  readonly inspectEveryMs?: number | undefined
}

const INSPECT_EVERY_MS = 2_000

/** Returns a function that begins the transaction of a window and reads the events since watermarks. */
export function createWindowReader({
  session,
  learnRules,
  inspectEveryMs = INSPECT_EVERY_MS,
}: WindowReaderDeps): (marks: readonly Watermark[]) => Promise<WindowReading> {
  const { client } = session
  const inspect = createInspection()
  const inspectionDue = every(inspectEveryMs)
  let installation: Installation | undefined
  let incarnation: string | undefined

  /** Sends all queries before it awaits the first result: they take one round trip. */
  async function readTogether(snapshots: readonly Snapshot[]) {
    const reading = beginReading(client)
    const heads = snapshots.map((snapshot) => readHead(client, snapshot))
    // If the first query fails, the queries behind it fail too. Its error is the cause.
    await Promise.allSettled([reading, ...heads])
    const readSnapshot = await reading
    // Behind a pooler in transaction mode, the locks of another backend do not protect this one.
    if (readSnapshot.backend !== session.backend) {
      throw new NotOneSession('a window was read by another backend than the one with the locks')
    }
    const windows = await Promise.all(heads)
    return { readSnapshot, known: new Map(snapshots.map(({ text }, i) => [text, windows[i]])) }
  }

  return async (marks) => {
    // Within one incarnation the windows are known before the reply with the snapshot arrives.
    const { readSnapshot, known } = await readTogether(
      marks.flatMap((mark) => (mark.incarnation === incarnation ? [mark.snapshot] : [])),
    )
    if (readSnapshot.database.incarnation !== incarnation) await learnRules()
    incarnation = readSnapshot.database.incarnation
    // If a segment is missing, a window may miss events. The inspection then disables every resource.
    if (inspectionDue() || !installation || !readSnapshot.isComplete) {
      installation = await inspect(client)
    }
    return {
      readSnapshot,
      installation,
      since: async (snapshot) => known.get(snapshot.text) ?? readWindow(client, snapshot),
    }
  }
}
