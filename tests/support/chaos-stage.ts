import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter, once } from 'node:events'
import { setImmediate as immediate } from 'node:timers/promises'

/** Asynchronous work that takes a step only when the test permits it. */
export type Actor = symbol

/** An actor that waits for permission to continue in one of several directions. The first is the default. */
export interface Cue {
  readonly actor: Actor
  readonly directions: readonly [string, ...string[]]
  give(direction: string): void
}

// Shared by all stages, since each AsyncLocalStorage makes every promise slower.
const acting = new AsyncLocalStorage<Actor>()

/** Runs actors one step at a time, in an order that the test chooses. */
export class Stage {
  readonly #running = new Set<Actor>()
  readonly #cues = new Set<Cue>()
  readonly #events = new EventEmitter()

  /** Waiting actors, the longest wait first. */
  get cues(): readonly Cue[] {
    return [...this.#cues]
  }

  /** Runs an actor. Code that it calls belongs to the same actor, unless that calls `act`. */
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

  /** Makes the actor wait for permission to continue. Returns the chosen direction. */
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

  /** Marks the actor as waiting for another actor. */
  follow(): void {
    this.#leave(self())
  }

  /** Resolves when every actor waits or has ended. */
  async settled(): Promise<void> {
    do {
      if (this.#running.size > 0) await once(this.#events, 'idle')
      // A follower continues in the same turn of the event loop as the actor that it follows.
      await immediate()
    } while (this.#running.size > 0)
  }

  #leave(actor: Actor): void {
    if (this.#running.delete(actor) && this.#running.size === 0) this.#events.emit('idle')
  }
}

function self(): Actor {
  const actor = acting.getStore()
  if (actor === undefined) throw new Error('called outside Stage.act()')
  return actor
}
