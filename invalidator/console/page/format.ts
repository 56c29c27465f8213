const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** Formats a count or a rate: `1,234` or `0.5`. */
export const count = (value: number): string => (value < 100 ? number : whole).format(value)

/** Formats a duration in ms: `0.4 ms`, `12 ms`, `3.1 s`, `5 min`. */
export function duration(ms: number | null | undefined): string {
  if (ms == null || !Number.isFinite(ms)) return '–'
  if (ms < 1_000) return `${short.format(ms)} ms`
  if (ms < 60_000) return `${number.format(ms / 1_000)} s`
  if (ms < 3_600_000) return `${whole.format(ms / 60_000)} min`
  return `${number.format(ms / 3_600_000)} h`
}

/** Formats a number of bytes: `12 kB`, `3.4 MB`. */
export function bytes(value: number | null | undefined): string {
  if (value == null) return '–'
  if (value < 1_000) return `${value} B`
  const exponent = Math.min(3, Math.floor(Math.log10(value) / 3))
  return `${number.format(value / 1_000 ** exponent)} ${['B', 'kB', 'MB', 'GB'][exponent]}`
}

/** Formats a share: `96 %`; a dash for a share of nothing. */
export const percent = (part: number, total: number): string =>
  total === 0 ? '–' : `${number.format((100 * part) / total)} %`

const pad = (value: number, width: number) => String(value).padStart(width, '0')

/** Formats a time of day, with milliseconds. */
export const timeOf = (ms: number): string => {
  const date = new Date(ms)
  return `${pad(date.getHours(), 2)}:${pad(date.getMinutes(), 2)}:${pad(date.getSeconds(), 2)}.${pad(date.getMilliseconds(), 3)}`
}

/** `1 row`, `2 rows`. */
export const counted = (value: number, noun: string, plural = `${noun}s`): string =>
  `${count(value)} ${value === 1 ? noun : plural}`
