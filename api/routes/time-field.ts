import { z } from 'zod'
import { atMost } from './field.ts'

/** Longer than any valid instant: Postgres stores six fractional digits of a second. */
const MAX_INSTANT = 40
const NO_INSTANT =
  'Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].'

/** Fields with times of one time zone. */
export type TimeFields = ReturnType<typeof createTimeFields>

/** Creates the fields of times. `timeZone` is the zone of dates, and of times without an offset. */
export function createTimeFields(timeZone: string) {
  const toInstant = createToInstant(timeZone)
  const dateOf = createDateOf(timeZone)

  /** Returns the end of the day of an instant, or the instant if the day is after the year 9999. */
  function endOfDay(at: Date): Date {
    const end = toInstant(`${dateOf(at)}T23:59:59.999`)
    return Number.isNaN(end.getTime()) ? at : end
  }

  /** An instant, such as `2026-02-28T16:00:00+08:00`. A date is midnight. */
  const instant = z
    .union(
      [z.iso.datetime({ offset: true, local: true }).check(atMost(MAX_INSTANT)), z.iso.date()],
      { error: ({ input }) => (input == null ? undefined : NO_INSTANT) },
    )
    .transform((text) => {
      const timed = text.includes('T') ? text : `${text}T00:00:00`
      return /(Z|[+-]\d\d:\d\d)$/.test(timed) ? new Date(timed) : toInstant(timed)
    })
    .refine((at) => at.getUTCFullYear() > 0, 'There is no year 0.')
    .refine((at) => at.getUTCFullYear() <= 9999, 'The year must be at most 9999.')

  /** The last day of something, as a date or an instant of that day: the end of the day. */
  const lastDay = instant.transform(endOfDay)

  return {
    instant,
    /** A calendar date. An instant becomes its date in the time zone: browsers send midnight there. */
    date: instant
      .transform(dateOf)
      .refine((text) => /^\d{4}-/.test(text), 'The year has more than four digits.'),
    /** Returns the present date. */
    today: () => dateOf(new Date()),
    lastDay,
    /** A last day, from today. */
    endDate: lastDay.refine((end) => end.getTime() >= Date.now(), 'End date cannot be in the past'),
    endOfDay,
  }
}

/** Creates a function that returns the date of an instant in a time zone, such as `2026-02-28`. */
function createDateOf(timeZone: string): (at: Date) => string {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  })
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]))
    return `${parts.get('year')?.padStart(4, '0')}-${parts.get('month')}-${parts.get('day')}`
  }
}

/** Creates a function that returns the instant of a local time, such as `2026-02-28T16:00:00`. */
function createToInstant(timeZone: string): (local: string) => Date {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
  /** Such as `GMT+08:00`; `GMT` for no offset. */
  const offsetOf = (ms: number) => {
    const name = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? ''
    const [, sign, hours = '0', minutes = '0', seconds = '0'] =
      /([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(name) ?? []
    const offset = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
    return sign === '-' ? -offset : offset
  }
  return (local) => {
    const asUtc = Date.parse(`${local}Z`)
    if (Number.isNaN(asUtc)) return new Date(asUtc)
    // The offset before a change of the clocks can differ from the one at the local time.
    const near = asUtc - offsetOf(asUtc)
    return new Date(asUtc - offsetOf(near))
  }
}
