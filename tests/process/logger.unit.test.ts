import { Writable } from 'node:stream'
import { expect } from 'chai'
import winston from 'winston'
import { currentRequestId, withRequestId } from '../../api/http/request-id.ts'
import { configureLogger, createLogger, type LogConfig } from '../../shared/logger.ts'

/** Returns a logger that writes to an array instead of the console. */
function setup(config: LogConfig) {
  const logger = createLogger('test', currentRequestId)
  const lines: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk).trimEnd())
      done()
    },
  })
  logger.clear().add(new winston.transports.Stream({ stream }))
  configureLogger(logger, config)
  return { logger, lines }
}

describe('logger', () => {
  it('writes a line of JSON with the id of the current request', () => {
    const { logger, lines } = setup({ level: 'info', format: 'json' })
    withRequestId('r1', () => logger.child({ part: 'cache' }).info('filled', { key: 'k' }))
    logger.debug('not this')
    expect(lines).to.have.length(1)
    expect(JSON.parse(lines[0] ?? '')).to.deep.include({
      level: 'info',
      message: 'filled',
      service: 'test',
      requestId: 'r1',
      part: 'cache',
      key: 'k',
    })
  })

  it('logs errors with their causes, without other properties that a driver added', () => {
    const { logger, lines } = setup({ level: 'info', format: 'json' })
    const cause = Object.assign(new Error('refused'), {
      code: '28P01',
      command: { name: 'auth', args: ['hunter2'] },
    })
    logger.error('failed', { error: new AggregateError([cause], 'both', { cause }) })
    const { error } = JSON.parse(lines[0] ?? '')
    expect(error.message).to.equal('both')
    expect(error.stack).to.include('logger.unit.test.ts')
    expect(error.cause).to.include({ message: 'refused', code: '28P01' })
    expect(error.errors[0]).to.include({ message: 'refused', code: '28P01' })
    expect(lines[0]).not.to.include('hunter2')
  })

  it('escapes line breaks and control characters in text format', () => {
    const { logger, lines } = setup({ level: 'info', format: 'text' })
    logger.info('failed\n12:00:00 info forged', {
      name: 'a\r\nb\u001b[31m',
      error: new Error('c\nd'),
    })
    const [first = ''] = lines[0]?.split('\n') ?? []
    expect(first).to.match(
      /failed\\u000a12:00:00 info forged name=a\\u000d\\u000ab\\u001b\[31m error=c\\u000ad$/,
    )
  })

  it('writes readable lines in text format', () => {
    const { logger, lines } = setup({ level: 'debug', format: 'text' })
    logger.debug('listening', { port: 8000 })
    logger.warn('away', { error: new Error('no route') })
    expect(lines[0]).to.match(/^\d\d:\d\d:\d\d\.\d{3} debug listening port=8000$/)
    expect(lines[1]).to.match(/ warn {2}away error=no route\nError: no route\n +at /)
  })
})
