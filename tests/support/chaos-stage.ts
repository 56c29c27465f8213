import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter, once } from 'node:events'
import { setImmediate as immediate } from 'node:timers/promises'

/** A step that somebody would take now. */
export interface Move {
  readonly name: string
  take(): void
}

/**
 * Lets one actor at a time take one step, in an order that the test chooses. An actor is anything
 * asynchronous; before each step that others may come before, it waits for its cue.
 */
export class Stage {
  readonly #running = new Set<object>()
  readonly #parked: { readonly moves: readonly Move[] }[] = []
  readonly #events = new EventEmitter()
  readonly #actor = new AsyncLocalStorage<object>()

  /** Whatever may be done next; each takes one actor to its next cue or to its end. */
  get moves(): readonly Move[] {
    return this.#parked.flatMap(({ moves }) => moves)
  }

  /** Runs an actor. What it calls runs as the same one, unless it acts on its own. */
  act<T>(work: () => Promise<T>): Promise<T> {
    const actor = {}
    return this.#actor.run(actor, async () => {
      this.#running.add(actor)
      try {
        return await work()
      } finally {
        this.#leave(actor)
      }
    })
  }

  /** Parks the actor until the test lets it go on, in one of some directions. */
  cue<Direction extends string>(...directions: readonly Direction[]): Promise<Direction> {
    const actor = this.#self()
    return new Promise((resolve) => {
      const parked = {
        moves: directions.map((name) => ({
          name,
          take: () => {
            this.#parked.splice(this.#parked.indexOf(parked), 1)
            this.#running.add(actor)
            resolve(name)
          },
        })),
      }
      this.#parked.push(parked)
      this.#leave(actor)
    })
  }

  /** Says that the actor now waits for another one. */
  follow(): void {
    this.#leave(this.#self())
  }

  /** Waits until every actor is parked, follows another, or has ended. */
  async settled(): Promise<void> {
    do {
      if (this.#running.size > 0) await once(this.#events, 'idle')
      // A follower goes on in the same turn as the one it follows.
      await immediate()
    } while (this.#running.size > 0)
  }

  #self(): object {
    const actor = this.#actor.getStore()
    if (actor === undefined) throw new Error('only an actor can do this')
    return actor
  }

  #leave(actor: object): void {
    if (this.#running.delete(actor) && this.#running.size === 0) this.#events.emit('idle')
  }
}
