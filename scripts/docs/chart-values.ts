/** A value of the chart, or a group of values. */
export interface ChartValue {
  /** For example `api.autoscaling.enabled`. */
  readonly path: string
  /** The text in the file; empty for a group. */
  readonly default: string
  /** The comment directly above it, with the same indentation. */
  readonly about: string
}

const BEGIN = '<!-- values: made by `npm run docs` from values.yaml -->'
const END = '<!-- end of values -->'

/** Returns the README of a chart with the table of values from `values.yaml`. */
export function describeChartValues(readme: string, valuesYaml: string): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)]
  if (begin < 0 || end < begin)
    throw new Error(`helm/README.md lacks the markers ${BEGIN} and ${END}`)
  const rows = readChartValues(valuesYaml)
    .filter((value) => value.default !== '' || value.about !== '')
    .map(({ path, default: text, about }) => [code(path), code(text), about].join(' | '))
  const table = ['| value | default | |', '|---|---|---|', ...rows.map((row) => `| ${row} |`)]
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${table.join('\n')}\n\n${readme.slice(end)}`
}

/** Returns every value of a `values.yaml` that has one value per line. */
export function readChartValues(valuesYaml: string): ChartValue[] {
  const values: ChartValue[] = []
  const parents: string[] = []
  let comment: { readonly depth: number; readonly lines: string[] } = { depth: 0, lines: [] }
  for (const line of valuesYaml.split('\n')) {
    const depth = (line.length - line.trimStart().length) / 2
    const [, commentText] = /^ *# ?(.*)$/.exec(line) ?? []
    if (commentText !== undefined) {
      if (comment.depth !== depth) comment = { depth, lines: [] }
      comment.lines.push(commentText)
      continue
    }
    const [, name, text = ''] = /^ *(\w+):(?: (.*))?$/.exec(line) ?? []
    if (name !== undefined) {
      parents.splice(depth, Infinity, name)
      const about = comment.depth === depth ? comment.lines.join(' ') : ''
      values.push({ path: parents.join('.'), default: text, about })
    }
    comment = { depth, lines: [] }
  }
  return values
}

const code = (text: string) => (text === '' ? '' : `\`${text}\``)
