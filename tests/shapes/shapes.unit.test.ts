import { readdir } from 'node:fs/promises'
import { expect } from 'chai'
import { z } from 'zod'
import { publicBusinessArea } from '../../shared/shapes/business-area.ts'
import { publicPhoto } from '../../shared/shapes/project-photo.ts'
import { perthTime } from '../../shared/shapes/values.ts'

const FOLDER = new URL('../../shared/shapes/', import.meta.url)

describe('shapes of answers', () => {
  it('reject unknown keys at any depth', async () => {
    const files = await readdir(FOLDER)
    const modules = await Promise.all(
      files.map((file): Promise<Record<string, unknown>> => import(new URL(file, FOLDER).href)),
    )
    const shapes = modules
      .flatMap((exports) => Object.values(exports))
      .filter((value) => value instanceof z.ZodType)
    expect(shapes).to.have.length.above(10)
    for (const shape of shapes) {
      const text = JSON.stringify(z.toJSONSchema(shape))
      const objects = text.match(/"type":"object"/g)?.length ?? 0
      // Records of counts may have any key.
      const strict = text.match(/"additionalProperties":(false|\{"type":"integer",)/g)?.length ?? 0
      expect(strict).to.equal(objects)
    }
  })

  it('of public answers reject names and e-mail addresses of staff', () => {
    const area = {
      id: 1,
      name: 'Area',
      slug: null,
      focus: null,
      division: {
        id: 1,
        name: 'Division',
        slug: 'd',
        director: null,
        approver: null,
        directorate_email_list: [{ id: 1, email: 'ada@spms.test', name: 'Ada Lane' }],
      },
      introduction: null,
      image: null,
      leader: null,
      caretaker: null,
      finance_admin: null,
      data_custodian: null,
      is_active: true,
    }
    const withoutEmails = { ...area, division: { ...area.division, directorate_email_list: [] } }
    expect(publicBusinessArea.safeParse(withoutEmails).success).to.equal(true)
    expect(publicBusinessArea.safeParse(area).success).to.equal(false)
    expect(publicPhoto.shape.uploader.safeParse({ id: 1, username: 'ada' }).success).to.equal(false)
  })

  it('require Perth time, with microseconds only if they are not 0', () => {
    expect(isTime('2026-02-10T16:30:00+08:00')).to.equal(true)
    expect(isTime('2026-02-10T16:30:00.123456+08:00')).to.equal(true)
    expect(isTime('2026-02-10T16:30:00.000000+08:00')).to.equal(false)
    expect(isTime('2026-02-10T16:30:00.123+08:00')).to.equal(false)
    expect(isTime('2026-02-10T08:30:00Z')).to.equal(false)
  })
})

const isTime = (text: string) => perthTime.safeParse(text).success
