// Types of the data that the server sends.
export type { Change } from '../change.ts'
export type { ExplainedRule, ExplainedVariant } from '../explain-entry.ts'
export type { Point as ShownPoint } from '../history.ts'
export type { Explained, Headline, Overview, ShownResource } from '../model.ts'
