import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { Client } from 'pg'
import sharp from 'sharp'
import { seed } from '../../scripts/seed/seed.ts'
import { createTestDatabase } from '../support/database.ts'
import { createMediaRoot } from './media.ts'

const SAMPLE = 10

describe('pictures of the seed', function () {
  this.timeout(60_000)

  before(() => {
    // An API that ran in this process may have blocked it. The seed is a process of its own otherwise.
    sharp.unblock({ operation: ['VipsForeignLoadSvgBuffer'] })
  })

  it('exist for every row that responses refer to, with the size in the row', async () => {
    await using media = await createMediaRoot()
    await using database = await createTestDatabase()
    await seed(database.url, { scale: 0.2, mediaRoot: media.path })
    const client = new Client({ connectionString: database.url })
    await client.connect()
    try {
      for (const [table, format] of [
        ['useravatar', 'jpeg'],
        ['projectphoto', 'jpeg'],
        ['businessareaphoto', 'jpeg'],
        ['agencyimage', 'jpeg'],
        ['projectdocumentpdf', 'pdf'],
      ] as const) {
        const { rows } = await client.query<{ file: string; size: number }>(
          `select file, size from medias_${table} where file is not null order by id`,
        )
        expect(rows, table).to.have.length.above(0)
        for (const { file, size } of rows) {
          expect((await stat(join(media.path, file))).size, file).to.equal(size)
        }
        const distinct = new Set<string>()
        for (const { file } of rows.slice(0, SAMPLE)) {
          const bytes = await readFile(join(media.path, file))
          distinct.add(bytes.toString('latin1'))
          if (format === 'pdf') expect(bytes.toString()).to.match(/^%PDF-.*%%EOF\n$/s)
          else expect((await sharp(bytes).metadata()).format).to.equal(format)
        }
        expect(distinct.size, table).to.equal(Math.min(rows.length, SAMPLE))
      }
    } finally {
      await client.end()
    }
  })
})
