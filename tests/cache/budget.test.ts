import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { Budget, TimedOut } from '../../shared/cache/budget.ts'

const COMMAND_TIMEOUT_MS = 50

describe('a budget', () => {
  it('charges what a command took, also one that failed', async () => {
    const budget = new Budget(1_000)
    expect(await budget.spend(() => sleep(20, 'answer'), COMMAND_TIMEOUT_MS)).to.equal('answer')
    const failure = new Error('refused')
    const failed = budget.spend(() => sleep(20).then(() => Promise.reject(failure)), 50)
    expect(await failed.catch((error: unknown) => error)).to.equal(failure)
    expect(budget.leftMs).to.be.at.most(1_000 - 38)
  })

  it('ends a command when the rest has passed, and lets what comes later go unheard', async () => {
    const budget = new Budget(30)
    const late = sleep(60).then(() => Promise.reject(new Error('late')))
    const spent = await budget.spend(() => late, COMMAND_TIMEOUT_MS).catch((e: unknown) => e)
    expect(spent).to.be.instanceOf(TimedOut)
    expect(budget.leftMs).to.be.at.most(0)
    await late.catch(() => {})
  })

  it('takes the time that this process was busy for its own', async () => {
    const budget = new Budget(80)
    const answer = budget.spend(() => sleep(1, 'answer'), COMMAND_TIMEOUT_MS)
    const busyUntilMs = performance.now() + 5 * COMMAND_TIMEOUT_MS
    while (performance.now() < busyUntilMs);
    expect(await answer).to.equal('answer')
    expect(budget.leftMs).to.be.at.least(40)
  })
})
