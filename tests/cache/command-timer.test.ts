import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { TimeBudget } from '../../shared/cache/time-budget.ts'
import { TimedOut, CommandTimer } from '../../shared/cache/command-timer.ts'

const COMMAND_TIMEOUT_MS = 50
/** What a busy machine may add. */
const SLACK_MS = 60

/** Waits, and says how it ended and how long that took. */
async function wait<T>(
  commandTimer: CommandTimer,
  command: Promise<T>,
  budget = new TimeBudget(1_000),
) {
  const startedMs = performance.now()
  const end = await commandTimer.track(command, budget).catch((error: unknown) => error)
  return { end, tookMs: performance.now() - startedMs, spentMs: 1_000 - budget.leftMs }
}

const never = () => new Promise<never>(() => {})

describe('waits for Redis', () => {
  let commandTimer: CommandTimer
  beforeEach(() => {
    commandTimer = new CommandTimer(COMMAND_TIMEOUT_MS)
  })

  it('charge what a command took, also one that failed', async () => {
    const budget = new TimeBudget(1_000)
    expect((await wait(commandTimer, sleep(20, 'answer'), budget)).end).to.equal('answer')
    const failure = new Error('refused')
    const failed = sleep(20).then(() => Promise.reject(failure))
    expect((await wait(commandTimer, failed, budget)).end).to.equal(failure)
    // A timer counts from when its turn of the event loop began.
    expect(budget.leftMs).to.be.within(1_000 - 40 - SLACK_MS, 1_000 - 20)
  })

  it('end a command when its budget is spent, and let what comes later go unheard', async () => {
    const budget = new TimeBudget(30)
    const late = sleep(60).then(() => Promise.reject(new Error('late')))
    const { end, tookMs } = await wait(commandTimer, late, budget)
    expect(end).to.be.instanceOf(TimedOut)
    expect(tookMs).to.be.within(28, 30 + SLACK_MS)
    expect(budget.leftMs).to.be.at.most(0)
    await late.catch(() => {})
  })

  it('end each command at its own time, whenever the others began', async () => {
    const first = wait(commandTimer, never())
    await sleep(13)
    const second = wait(commandTimer, never())
    const short = wait(commandTimer, never(), new TimeBudget(4))
    const answered = wait(commandTimer, sleep(20, 'answer'))
    expect((await answered).end).to.equal('answer')
    const { end, tookMs } = await short
    expect(end).to.be.instanceOf(TimedOut)
    expect(tookMs).to.be.within(3, 4 + SLACK_MS)
    for (const ended of [await first, await second]) {
      expect(ended.end).to.be.instanceOf(TimedOut)
      expect(ended.tookMs).to.be.within(COMMAND_TIMEOUT_MS - 2, COMMAND_TIMEOUT_MS + SLACK_MS)
      expect(ended.spentMs).to.equal(COMMAND_TIMEOUT_MS)
    }
  })

  it('charge commands that are in flight together for the time in which any of them was', async () => {
    const budget = new TimeBudget(1_000)
    await Promise.all([
      wait(commandTimer, sleep(40), budget),
      wait(commandTimer, sleep(40), budget),
      sleep(20).then(() => wait(commandTimer, sleep(29), budget)),
      wait(commandTimer, Promise.reject(new Error('refused')), budget),
    ])
    expect(1_000 - budget.leftMs).to.be.within(48, 50 + SLACK_MS)
    await sleep(100)
    expect(1_000 - budget.leftMs).to.be.within(48, 50 + SLACK_MS)
  })

  it('end commands that began together when their budget is spent, and leave nothing of it', async () => {
    const budget = new TimeBudget(30)
    const startedMs = performance.now()
    const first = wait(commandTimer, never(), budget)
    await sleep(10)
    const second = await wait(commandTimer, never(), budget)
    expect(second.end).to.be.instanceOf(TimedOut)
    expect(performance.now() - startedMs).to.be.within(28, 30 + SLACK_MS)
    expect((await first).end).to.be.instanceOf(TimedOut)
    expect(budget.leftMs).to.equal(0)
  })

  it('begin anew after a time in which nobody waited', async () => {
    expect((await wait(commandTimer, sleep(1, 'answer'))).end).to.equal('answer')
    await sleep(3 * COMMAND_TIMEOUT_MS)
    const { tookMs, spentMs } = await wait(commandTimer, sleep(20, 'answer'))
    expect(tookMs).to.be.below(20 + SLACK_MS)
    expect(spentMs).to.be.within(18, 20 + SLACK_MS)
  })

  it('take the time that this process was busy for its own', async () => {
    const budget = new TimeBudget(80)
    const answer = wait(commandTimer, sleep(1, 'answer'), budget)
    const busyUntilMs = performance.now() + 5 * COMMAND_TIMEOUT_MS
    while (performance.now() < busyUntilMs);
    expect((await answer).end).to.equal('answer')
    expect(budget.leftMs).to.be.at.least(40)
  })
})
