import { probe, type ProbeOptions } from '../../bench/probe.ts'

// The parent process controls a browser, whose messages would delay the readings of the clock.
process.once('message', (options) => {
  void (async () => {
    const lags = await probe(options as ProbeOptions)
    process.send?.(lags, () => process.disconnect())
  })()
})
