import winston, { type Logger } from 'winston'

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const
export const LOG_FORMATS = ['json', 'text'] as const

export interface LogConfig {
  readonly level: (typeof LOG_LEVELS)[number]
  readonly format: (typeof LOG_FORMATS)[number]
}

/** Returns `text` on a terminal, `json` for a log collector. */
export const defaultLogFormat = (): LogConfig['format'] => (process.stdout.isTTY ? 'text' : 'json')

/**
 * Creates the logger of the process, at `info` until `configureLogger` applies the configuration.
 * Calls `requestId` for every line, so that all lines of a request can be found by its id.
 */
export function createLogger(
  service: string,
  requestId: () => string | undefined = () => undefined,
): Logger {
  const defaultMeta = {
    service,
    // A getter is read when the line is logged. A format may run later, during another request.
    get requestId() {
      return requestId()
    },
  }
  return winston.createLogger({
    level: 'info',
    defaultMeta,
    // winston runs this format for disabled levels too, and that of the transport for written lines
    // only.
    format: unchanged(),
    transports: new winston.transports.Console({ format: lineFormats[defaultLogFormat()] }),
  })
}

/** Applies the configuration of the environment, also to child loggers. */
export function configureLogger(logger: Logger, { level, format }: LogConfig): void {
  logger.level = level
  for (const transport of logger.transports) transport.format = lineFormats[format]
}

const unchanged = winston.format((info) => info)

/** winston prints an `Error` in a field as `{}`. */
const complete = winston.format((info) => {
  info['time'] = new Date().toISOString()
  for (const [name, value] of Object.entries(info)) {
    if (value instanceof Error) info[name] = describeError(value)
  }
  return info
})

/**
 * Returns the fields of an error to log. It is an allow-list, because driver errors also carry values:
 * the arguments of a failed AUTH, or the row that violated a constraint.
 */
function describeError(error: Error): Record<string, unknown> {
  return {
    name: error.name,
    message: error.message,
    code: Reflect.get(error, 'code'),
    table: Reflect.get(error, 'table'),
    column: Reflect.get(error, 'column'),
    constraint: Reflect.get(error, 'constraint'),
    stack: error.stack,
    cause: error.cause instanceof Error ? describeError(error.cause) : error.cause,
    errors:
      error instanceof AggregateError
        ? error.errors.map((inner) => (inner instanceof Error ? describeError(inner) : inner))
        : undefined,
  }
}

const asText = winston.format.printf(({ time, service: _service, level, message, ...fields }) => {
  const words = [String(time).slice(11, 23), level.padEnd(5), onOneLine(String(message))]
  const stacks: string[] = []
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    if (isDescribedError(value)) {
      words.push(
        `${name}=${value.code === undefined ? '' : `${value.code} `}${onOneLine(value.message)}`,
      )
      stacks.push(value.stack)
    } else {
      words.push(`${name}=${typeof value === 'string' ? onOneLine(value) : JSON.stringify(value)}`)
    }
  }
  return [words.join(' '), ...stacks].join('\n')
})

/** Escapes control characters, so that no value can imitate a log line. */
const onOneLine = (text: string) =>
  text.replaceAll(
    /[\p{Cc}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

function isDescribedError(
  value: unknown,
): value is { code?: string; message: string; stack: string } {
  return typeof value === 'object' && value !== null && 'stack' in value
}

const lineFormats = {
  json: winston.format.combine(complete(), winston.format.json()),
  text: winston.format.combine(complete(), asText),
}
