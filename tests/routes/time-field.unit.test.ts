import { expect } from 'chai'
import { createTimeFields } from '../../api/routes/time-field.ts'

const DAY_MS = 24 * 60 * 60_000

const iso = (at: Date) => at.toISOString()

describe('fields of times', () => {
  it('read local times and dates in the time zone, also next to a change of the clocks', () => {
    for (const [timeZone, text, wanted] of [
      ['Australia/Perth', '2026-02-28', '2026-02-27T16:00:00.000Z'],
      ['Australia/Perth', '2026-02-28T08:30:00', '2026-02-28T00:30:00.000Z'],
      ['Australia/Perth', '2026-02-28T08:30:00-02:00', '2026-02-28T10:30:00.000Z'],
      ['UTC', '2026-02-28T08:30:00', '2026-02-28T08:30:00.000Z'],
      ['America/St_Johns', '2026-01-01T00:00:00', '2026-01-01T03:30:00.000Z'],
      // The clocks went forward at 02:00 and back at 03:00.
      ['Australia/Sydney', '2025-10-05T01:59:00', '2025-10-04T15:59:00.000Z'],
      ['Australia/Sydney', '2025-10-05T03:00:00', '2025-10-04T16:00:00.000Z'],
      ['Australia/Sydney', '2026-04-05T01:00:00', '2026-04-04T14:00:00.000Z'],
      ['Australia/Sydney', '2026-04-05T03:00:00', '2026-04-04T17:00:00.000Z'],
    ] as const) {
      expect(iso(createTimeFields(timeZone).instant.parse(text)), text).to.equal(wanted)
    }
  })

  it('extend a last day to its end in the time zone', () => {
    for (const [timeZone, text, wanted] of [
      ['Australia/Perth', '2026-02-28', '2026-02-28T15:59:59.999Z'],
      // A browser in Perth sends midnight of the chosen day.
      ['Australia/Perth', '2026-02-27T16:00:00.000Z', '2026-02-28T15:59:59.999Z'],
      ['Australia/Perth', '2026-02-28T15:59:59.999Z', '2026-02-28T15:59:59.999Z'],
      ['UTC', '2026-02-27T16:00:00.000Z', '2026-02-27T23:59:59.999Z'],
      // Days with 23 and 25 hours.
      ['Australia/Sydney', '2025-10-05', '2025-10-05T12:59:59.999Z'],
      ['Australia/Sydney', '2026-04-05', '2026-04-05T13:59:59.999Z'],
      ['Australia/Perth', '9999-12-31', '9999-12-31T15:59:59.999Z'],
      ['Australia/Perth', '9999-12-31T23:00:00Z', '9999-12-31T23:00:00.000Z'],
    ] as const) {
      expect(iso(createTimeFields(timeZone).lastDay.parse(text)), text).to.equal(wanted)
    }
  })

  it('accept today as an end date in every time zone, and reject yesterday', () => {
    for (const timeZone of ['Pacific/Kiritimati', 'Australia/Perth', 'UTC', 'Pacific/Pago_Pago']) {
      const { endDate } = createTimeFields(timeZone)
      const format = new Intl.DateTimeFormat('sv-SE', { timeZone })
      expect(endDate.safeParse(format.format(Date.now())).success, timeZone).to.equal(true)
      const yesterday = endDate.safeParse(format.format(Date.now() - DAY_MS))
      expect(yesterday.error?.issues[0]?.message).to.equal('End date cannot be in the past')
    }
  })

  it('reject texts that are no time, and years that Postgres or JSON cannot represent', () => {
    const { instant } = createTimeFields('Australia/Perth')
    for (const text of ['', 'soon', '2026-02-30', '0000-01-01', '9999-12-31T23:59:59-12:00']) {
      expect(instant.safeParse(text).success, text).to.equal(false)
    }
  })
})
