/** A value that may be given to the chart, or a group of them. */
export interface ChartValue {
  /** `api.autoscaling.enabled`. */
  readonly path: string
  /** As it stands in the file; a group has none. */
  readonly default: string
  /** The comment right above it, as deep as itself. */
  readonly about: string
}

const BEGIN = '<!-- values: made by `npm run docs` from values.yaml -->'
const END = '<!-- end of values -->'

/** A chart's README with its table of values as `values.yaml` has them. */
export function describeChartValues(readme: string, valuesYaml: string): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`the README lacks ${BEGIN} and ${END}`)
  const rows = readChartValues(valuesYaml)
    .filter((value) => value.default !== '' || value.about !== '')
    .map(({ path, default: text, about }) => [code(path), code(text), about].join(' | '))
  const table = ['| value | default | |', '|---|---|---|', ...rows.map((row) => `| ${row} |`)]
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${table.join('\n')}\n\n${readme.slice(end)}`
}

/** Every value of a `values.yaml` in which each stands on a line of its own. */
export function readChartValues(valuesYaml: string): ChartValue[] {
  const values: ChartValue[] = []
  const parents: string[] = []
  let comment: { readonly depth: number; readonly lines: string[] } = { depth: 0, lines: [] }
  for (const line of valuesYaml.split('\n')) {
    const depth = (line.length - line.trimStart().length) / 2
    const [, said] = /^ *# ?(.*)$/.exec(line) ?? []
    if (said !== undefined) {
      if (comment.depth !== depth) comment = { depth, lines: [] }
      comment.lines.push(said)
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
