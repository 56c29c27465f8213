/** A box of a diagram. */
export interface Box {
  readonly id: string
  readonly title: string
  readonly lines: readonly string[]
  readonly href?: string
}

/** Columns of boxes, and arrows from boxes to boxes of a later column. */
export interface Graph {
  readonly headings: readonly string[]
  readonly columns: readonly (readonly Box[])[]
  readonly arrows: readonly (readonly [from: string, to: string])[]
}

const CHAR = 7.05
const LINE = 17
const PAD = 11
const GAP_Y = 14
const GAP_X = 72
const HEADING = 26
const MAX_CHARS = 40

interface Placed extends Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Draws a graph in columns from left to right. */
export function Diagram({ graph, label }: { readonly graph: Graph; readonly label: string }) {
  const { boxes, width, height, starts } = place(graph)
  const find = (id: string) => boxes.find((box) => box.id === id)
  return (
    <div class="scroll diagram" role="region" aria-label={label} tabIndex={0}>
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="group"
        aria-label={label}
      >
        {graph.headings.map((heading, at) => (
          <text key={heading} class="heading" x={starts[at]} y={14}>
            {heading}
          </text>
        ))}
        <g aria-hidden="true">
          {graph.arrows.map(([from, to]) => {
            const [a, b] = [find(from), find(to)]
            return a && b && <path key={`${from}→${to}`} class="arrow" d={curve(a, b)} />
          })}
        </g>
        {boxes.map((box) => (
          <BoxView key={box.id} box={box} />
        ))}
      </svg>
    </div>
  )
}

function BoxView({ box }: { readonly box: Placed }) {
  const { x, y, width, height, title, lines, href } = box
  const content = (
    <>
      <rect x={x} y={y} width={width} height={height} rx={7} />
      <text x={x + PAD} y={y + PAD + 10} class="title">
        {title}
      </text>
      {lines.map((line, at) => (
        <text key={line} x={x + PAD} y={y + PAD + 10 + (at + 1) * LINE}>
          {line}
        </text>
      ))}
    </>
  )
  return href === undefined ? (
    <g class="box">{content}</g>
  ) : (
    <a class="box" href={href}>
      {content}
    </a>
  )
}

/** Breaks a list of words into lines. */
export function wrap(words: readonly string[], most = MAX_CHARS): string[] {
  const lines: string[] = []
  for (const [at, word] of words.entries()) {
    const text = at < words.length - 1 ? `${word},` : word
    const last = lines.at(-1)
    if (last !== undefined && last.length + text.length < most)
      lines[lines.length - 1] = `${last} ${text}`
    else lines.push(text)
  }
  return lines
}

const heightOf = ({ lines }: Box) => PAD * 2 + 12 + lines.length * LINE - (lines.length > 0 ? 2 : 0)

const columnHeight = (column: readonly Box[]) =>
  column.reduce((sum, box) => sum + heightOf(box) + GAP_Y, -GAP_Y)

function place({ columns, headings }: Graph) {
  const boxes: Placed[] = []
  const starts: number[] = []
  let x = 1
  const height = Math.max(...columns.map(columnHeight)) + HEADING + 2
  for (const [at, column] of columns.entries()) {
    starts.push(x)
    const chars = Math.max(
      headings[at]?.length ?? 0,
      ...column.flatMap(({ title, lines }) => [title, ...lines]).map(({ length }) => length),
    )
    const width = Math.ceil(chars * CHAR + 2 * PAD)
    let y = HEADING + Math.max(0, (height - HEADING - 2 - columnHeight(column)) / 2)
    for (const box of column) {
      boxes.push({ ...box, x, y, width, height: heightOf(box) })
      y += heightOf(box) + GAP_Y
    }
    x += width + GAP_X
  }
  return { boxes, starts, width: x - GAP_X + 1, height }
}

function curve(from: Placed, to: Placed): string {
  const [x1, y1] = [from.x + from.width, from.y + from.height / 2]
  const [x2, y2] = [to.x, to.y + to.height / 2]
  const middle = (x1 + x2) / 2
  return `M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}`
}
