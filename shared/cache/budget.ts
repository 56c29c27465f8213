/**
 * How long one request may wait for Redis, over all its commands. Waiting for another request's
 * load is not counted: that is time the load would take anyway.
 */
export class Budget {
  #leftMs: number

  constructor(totalMs: number) {
    this.#leftMs = totalMs
  }

  get leftMs(): number {
    return this.#leftMs
  }

  /** Waits for a command and charges the wait. @throws BudgetSpent when the rest has passed. */
  async spend<T>(command: () => Promise<T>, commandTimeoutMs: number): Promise<T> {
    const sentAt = performance.now()
    try {
      // The client bounds each command; a timer of our own is needed only for a shorter rest.
      return await (this.#leftMs >= commandTimeoutMs
        ? command()
        : withTimeout(command(), this.#leftMs))
    } finally {
      this.#leftMs -= performance.now() - sentAt
    }
  }
}

/** Redis has had all the time that this request can give it. */
export class BudgetSpent extends Error {
  override readonly name = 'BudgetSpent'
}

async function withTimeout<T>(pending: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new BudgetSpent()), timeoutMs)
  })
  try {
    return await Promise.race([pending, late])
  } finally {
    clearTimeout(timer)
  }
}
