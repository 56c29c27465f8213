import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { createRandom, type Random } from './random.ts'
import type { Rows } from './rows.ts'

/** Different pictures of each kind. Drawing one for each row would take half a minute. */
const DESIGNS = 24

const AVATAR = { width: 240, height: 240 }
const PHOTO = { width: 640, height: 400 }

interface FileRow {
  readonly file: string | null
  size: number
}

/**
 * Draws the pictures and documents to which rows refer, writes them below a media root, and sets the sizes
 * of the rows.
 */
export async function drawFiles({ tables }: Rows, mediaRoot: string): Promise<void> {
  const random = createRandom('pictures')
  const avatars = await drawEach(random, drawAvatar)
  const photos = await drawEach(random, drawPhoto)
  const contents: Readonly<Record<string, (row: FileRow, n: number) => Buffer | undefined>> = {
    medias_useravatar: (_, n) => avatars[n % DESIGNS],
    medias_projectphoto: (_, n) => photos[n % DESIGNS],
    medias_businessareaphoto: (_, n) => photos[n % DESIGNS],
    medias_agencyimage: (_, n) => photos[n % DESIGNS],
    medias_projectdocumentpdf: ({ file }) => drawPdf(file ?? ''),
  }
  for (const [table, contentOf] of Object.entries(contents)) {
    const rows = ([...tables].find(([name]) => name === table)?.[1] ?? []) as readonly FileRow[]
    for (const [n, row] of rows.entries()) {
      const content = contentOf(row, n)
      if (row.file === null || content === undefined) continue
      const path = join(mediaRoot, row.file)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, content)
      row.size = content.length
    }
  }
}

async function drawEach(random: Random, draw: (random: Random) => string): Promise<Buffer[]> {
  const drawn: Buffer[] = []
  while (drawn.length < DESIGNS) {
    drawn.push(
      await sharp(Buffer.from(draw(random)))
        .jpeg()
        .toBuffer(),
    )
  }
  return drawn
}

const svg = ({ width, height }: typeof AVATAR, ...shapes: readonly string[]) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${shapes.join('')}</svg>`

const colour = (random: Random, lightness: number, hues: readonly [number, number] = [0, 359]) =>
  `hsl(${random.int(...hues)}, ${random.int(30, 70)}%, ${lightness}%)`

/** Returns a head with shoulders on a background. */
function drawAvatar(random: Random): string {
  const skin = colour(random, random.int(35, 80), [18, 38])
  return svg(
    AVATAR,
    `<rect width="240" height="240" fill="${colour(random, 80)}"/>`,
    `<ellipse cx="120" cy="250" rx="${random.int(85, 105)}" ry="95" fill="${colour(random, 40)}"/>`,
    `<rect x="100" y="130" width="40" height="40" fill="${skin}"/>`,
    `<circle cx="120" cy="84" r="58" fill="${colour(random, random.int(10, 60), [20, 45])}"/>`,
    `<ellipse cx="120" cy="${random.int(98, 106)}" rx="46" ry="54" fill="${skin}"/>`,
    '<circle cx="103" cy="98" r="5"/><circle cx="137" cy="98" r="5"/>',
    '<path d="M102 122 q18 16 36 0" fill="none" stroke="#722" stroke-width="4"/>',
  )
}

/** Returns a landscape: sky, sun, hills and trees. */
function drawPhoto(random: Random): string {
  const hill = (y: number, lightness: number) =>
    `<path d="M0 ${y} Q${random.int(100, 300)} ${y - random.int(40, 140)} 320 ${y} T640 ${y} V400 H0 Z" ` +
    `fill="${colour(random, lightness, [60, 140])}"/>`
  const trees = Array.from({ length: random.int(5, 14) }, () => {
    const [x, y, size] = [random.int(10, 620), random.int(290, 360), random.int(10, 26)]
    return (
      `<rect x="${x - 2}" y="${y}" width="5" height="${size}" fill="#543"/>` +
      `<circle cx="${x}" cy="${y}" r="${size}" fill="${colour(random, 28, [80, 150])}"/>`
    )
  })
  return svg(
    PHOTO,
    `<rect width="640" height="400" fill="${colour(random, 78, [190, 220])}"/>`,
    `<circle cx="${random.int(60, 580)}" cy="${random.int(50, 120)}" r="36" fill="#fe9"/>`,
    hill(random.int(220, 260), 55),
    hill(random.int(280, 320), 40),
    ...trees,
  )
}

/** Returns a PDF of one page that contains a text. */
function drawPdf(text: string): Buffer {
  const stream = `BT /F1 18 Tf 72 760 Td (${text.replaceAll(/[()\\]/g, '')}) Tj ET`
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ]
  let body = '%PDF-1.4\n'
  const offsets = objects.map((object, i) => {
    const offset = body.length
    body += `${i + 1} 0 obj\n${object}\nendobj\n`
    return offset
  })
  const entries = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`)
  return Buffer.from(
    `${body}xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${entries.join('')}` +
      `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${body.length}\n%%EOF\n`,
  )
}
