import type { Random } from './random.ts'

/** The current day of the seed. It is fixed, so that the data does not depend on the clock. */
const TODAY_MS = Date.UTC(2026, 10, 1)
/** The year of that day. */
export const THIS_YEAR = 2026
/** The year of the oldest project and the first annual report. */
export const FIRST_YEAR = 2013

const DAY_MS = 86_400_000

/** Returns a time between two ages in days, with microseconds as in Django. Negative ages are in the future. */
export function moment(random: Random, oldestDays: number, youngestDays: number): string {
  const ageMs = (youngestDays + random.next() * (oldestDays - youngestDays)) * DAY_MS
  const toMillis = new Date(TODAY_MS - Math.floor(ageMs)).toISOString().slice(0, -1)
  // One in ten is a whole second, which Django prints without a fraction.
  if (random.chance(0.1)) return `${toMillis.slice(0, -4)}Z`
  return `${toMillis}${String(random.int(0, 999)).padStart(3, '0')}Z`
}

/** Returns `created_at`, and an equal or later `updated_at`. */
export function stamps(random: Random, oldestDays = 2500) {
  const created_at = moment(random, oldestDays, 30)
  if (random.chance(0.3)) return { created_at, updated_at: created_at }
  const ageDays = (TODAY_MS - Date.parse(created_at)) / DAY_MS
  return { created_at, updated_at: moment(random, ageDays, 0) }
}

/** Returns a date such as `2024-03-31`. */
export const calendarDate = (year: number, month: number, day: number) =>
  new Date(Date.UTC(year, month - 1, day)).toISOString().slice(0, 10)
