import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { root } from '../../scripts/paths.ts'

/** A query of a panel or of an alert. */
export interface Expression {
  /** The panel or alert that contains the query, for failure messages. */
  readonly of: string
  readonly text: string
}

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: {
    readonly x: number
    readonly y: number
    readonly w: number
    readonly h: number
  }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

/** Returns the panels of the Grafana dashboard. */
export async function readPanels(): Promise<readonly Panel[]> {
  const text = await readFile(join(root, 'helm/files/dashboard.json'), 'utf8')
  return (JSON.parse(text) as { panels: readonly Panel[] }).panels
}

/** Returns the queries of all panels and alerts. */
export async function readExpressions(): Promise<readonly Expression[]> {
  const panels = await readPanels()
  const rules = parse(await readFile(join(root, 'helm/files/alerts.yaml'), 'utf8')) as {
    groups: { rules: { alert: string; expr: string }[] }[]
  }
  return [
    ...panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ of: `panel "${title}"`, text: expr })),
    ),
    ...rules.groups.flatMap((group) =>
      group.rules.map(({ alert, expr }) => ({ of: `alert ${alert}`, text: expr })),
    ),
  ]
}

/** Returns the metric names in a text, including suffixes such as `_bucket`. */
export const metricsIn = (text: string): readonly string[] => [
  ...new Set(text.match(/\b(?:spms|process|nodejs)_\w+/g)),
]

/** Returns the labels that an expression selects or groups by. */
export function labelsIn(text: string): readonly string[] {
  const chosen = [...text.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label)
  const grouped = [...text.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)].flatMap(
    ([, labels = '']) => labels.split(',').map((label) => label.trim()),
  )
  return [...new Set([...chosen, ...grouped])]
}
