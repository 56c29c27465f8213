import { openEngine, defineThing, isUsable } from './engine.ts'
import { startPrivateRedis } from '../support/private-redis.ts'
import { setTimeout as sleep } from 'node:timers/promises'
describe('explore', function () {
  this.timeout(60000)
  it('stall', async () => {
    const engine = await openEngine()
    const one = await engine.openReader()
    const thing = defineThing()
    await one.reader.read(thing, { id: '1' }, 'v')
    await sleep(50)
    for (let k = 0; k < 5; k++) {
      const many = Array.from({ length: 20 }, () => one.reader.read(thing, { id: '1' }, 'v'))
      await new Promise((r) => setImmediate(r)); const t = performance.now(); while (performance.now() - t < 60) {}
      const outcomes = (await Promise.all(many)).map((a) => a.outcome)
      console.log('stall 60ms after send', outcomes.filter((o) => o === 'hit').length, 'hits, usable', isUsable(one.store))
      await sleep(800)
    }
    await engine[Symbol.asyncDispose]()
  })
  it.skip('freeze', async () => {
    await using r = await startPrivateRedis()
    const engine = await openEngine(r.url)
    const one = await engine.openReader()
    const thing = defineThing()
    for (const ev of ['close','ready','reconnecting','error','end']) one.redis.on(ev, (e: unknown) => console.log((performance.now()-t0).toFixed(), ev, String(e ?? '')))
    let t0 = performance.now()
    await one.reader.read(thing, { id: '1' }, 'v')
    await sleep(50)
    await r.freeze(); t0 = performance.now()
    let last = ''
    const watch = async (ms: number) => {
      const end = performance.now() + ms
      while (performance.now() < end) {
        const s = performance.now()
        const a = await one.reader.read(thing, { id: '1' }, 'v')
        const line = `${a.outcome} ${a.detail ?? ''} ${isUsable(one.store)}`
        const took = performance.now() - s
        if (line !== last || took > 20) console.log((s - t0).toFixed(), line, took.toFixed(1))
        last = line
        await sleep(5)
      }
    }
    await watch(4000)
    console.log('thaw'); await r.thaw(); t0 = performance.now()
    await watch(3000)
    console.log('short freeze 300ms'); await r.freeze(); t0 = performance.now(); await watch(300); await r.thaw(); await watch(2000)
    console.log('kill'); await r.stop(); t0 = performance.now(); await watch(1500)
    console.log('start'); await r.start(); t0 = performance.now(); await watch(2500)
    await engine[Symbol.asyncDispose]()
  })
})
