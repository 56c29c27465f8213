import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { TimeBudget } from '../../shared/cache/index.ts'
import { TimedOut, CommandTimer } from '../../shared/cache/entry-store/command-timer.ts'
import { SharedBudget } from '../../shared/cache/entry-store/time-budget.ts'

const COMMAND_TIMEOUT_MS = 50
/** Tolerance in milliseconds for a busy machine. */
const SLACK_MS = 60

/** Tracks a command; returns its result or error, the elapsed time and the budget spent. */
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

describe('CommandTimer', () => {
  let commandTimer: CommandTimer
  beforeEach(() => {
    commandTimer = new CommandTimer(COMMAND_TIMEOUT_MS)
  })

  it('charges the duration of a command to its budget, even if the command fails', async () => {
    const budget = new TimeBudget(1_000)
    expect((await wait(commandTimer, sleep(20, 'answer'), budget)).end).to.equal('answer')
    const failure = new Error('refused')
    const failed = sleep(20).then(() => Promise.reject(failure))
    expect((await wait(commandTimer, failed, budget)).end).to.equal(failure)
    // Node starts a timer at the beginning of the current event loop turn.
    expect(budget.leftMs).to.be.within(1_000 - 40 - SLACK_MS, 1_000 - 20)
  })

  it('ends a command when its budget is spent and ignores its later reply', async () => {
    const budget = new TimeBudget(30)
    const late = sleep(60).then(() => Promise.reject(new Error('late')))
    const { end, tookMs } = await wait(commandTimer, late, budget)
    expect(end).to.be.instanceOf(TimedOut)
    expect(tookMs).to.be.within(28, 30 + SLACK_MS)
    expect(budget.leftMs).to.be.at.most(0)
    await late.catch(() => {})
  })

  it('ends each command at its own deadline, regardless of when other commands started', async () => {
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

  it('charges concurrent commands once for the time during which at least one is in flight', async () => {
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

  it('ends concurrent commands when their shared budget is spent, leaving none of it', async () => {
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

  it('resets after a period without commands', async () => {
    expect((await wait(commandTimer, sleep(1, 'answer'))).end).to.equal('answer')
    await sleep(3 * COMMAND_TIMEOUT_MS)
    const { tookMs, spentMs } = await wait(commandTimer, sleep(20, 'answer'))
    expect(tookMs).to.be.below(20 + SLACK_MS)
    expect(spentMs).to.be.within(18, 20 + SLACK_MS)
  })

  it('does not charge time during which the event loop of this process was blocked', async () => {
    const budget = new TimeBudget(80)
    const answer = wait(commandTimer, sleep(1, 'answer'), budget)
    const busyUntilMs = performance.now() + 5 * COMMAND_TIMEOUT_MS
    while (performance.now() < busyUntilMs);
    expect((await answer).end).to.equal('answer')
    expect(budget.leftMs).to.be.at.least(40)
  })

  it('charges every request that waits for a shared command, also if the command times out', async () => {
    for (const command of [sleep(20, 'answer'), never()]) {
      const [first, second] = [new TimeBudget(1_000), new TimeBudget(500)]
      const shared = new SharedBudget(first)
      const reply = commandTimer.track(command, shared).catch(() => {})
      shared.join(second)
      await reply
      expect(first.leftMs).to.be.below(1_000)
      expect(500 - second.leftMs).to.be.closeTo(1_000 - first.leftMs, 0.01)
    }
  })

  it('charges no request for a shared command that was never sent', () => {
    const [shared, other] = [new SharedBudget(new TimeBudget(10)), new TimeBudget(10)]
    shared.join(other)
    expect(other.begin(100)).to.equal(10)
  })
})
