import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter, once } from 'node:events'
import { setImmediate as immediate } from 'node:timers/promises'

/** Anything asynchronous that goes on only when it is let. */
export type Actor = symbol

/** An actor that waits to be let on, in one of some directions; the first is the ordinary one. */
export interface Cue {
  readonly actor: Actor
  readonly directions: readonly [string, ...string[]]
  give(direction: string): void
}

// One for all stages: each further one would cost every promise something.
const acting = new AsyncLocalStorage<Actor>()

/** Lets one actor at a time take one step, in an order that the test chooses. */
export class Stage {
  readonly #running = new Set<Actor>()
  readonly #cues = new Set<Cue>()
  readonly #events = new EventEmitter()

  /** Whoever waits to be let on, longest first. */
  get cues(): readonly Cue[] {
    return [...this.#cues]
  }

  /** Runs an actor. What it calls runs as the same one, unless it acts on its own. */
  act<T>(work: () => Promise<T>, actor: Actor = Symbol('actor')): Promise<T> {
    return acting.run(actor, async () => {
      this.#running.add(actor)
      try {
        return await work()
      } finally {
        this.#leave(actor)
      }
    })
  }

  /** Makes the actor wait until it is let on, and tells it in which direction. */
  cue<Direction extends string>(...directions: [Direction, ...Direction[]]): Promise<Direction> {
    const actor = self()
    return new Promise((resolve) => {
      const cue: Cue = {
        actor,
        directions,
        give: (direction) => {
          this.#cues.delete(cue)
          this.#running.add(actor)
          resolve(direction as Direction)
        },
      }
      this.#cues.add(cue)
      this.#leave(actor)
    })
  }

  /** Says that the actor now waits for another one. */
  follow(): void {
    this.#leave(self())
  }

  /** Waits until every actor waits or has ended. */
  async settled(): Promise<void> {
    do {
      if (this.#running.size > 0) await once(this.#events, 'idle')
      // A follower goes on in the same turn as the one it follows.
      await immediate()
    } while (this.#running.size > 0)
  }

  #leave(actor: Actor): void {
    if (this.#running.delete(actor) && this.#running.size === 0) this.#events.emit('idle')
  }
}

function self(): Actor {
  const actor = acting.getStore()
  if (actor === undefined) throw new Error('only an actor can do this')
  return actor
}
