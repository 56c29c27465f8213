import { z } from 'zod'
import type { Manifest } from './chart.ts'

const metadata = z.strictObject({
  name: z.string(),
  labels: z.record(z.string(), z.string()),
})

/** The kinds of the Prometheus operator that the chart renders, with the fields that it uses. */
const KINDS = {
  ServiceMonitor: z.strictObject({
    apiVersion: z.enum(['monitoring.coreos.com/v1', 'azmonitoring.coreos.com/v1']),
    kind: z.literal('ServiceMonitor'),
    metadata,
    spec: z.strictObject({
      jobLabel: z.string(),
      selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }),
      endpoints: z
        .array(z.strictObject({ port: z.string(), path: z.string(), interval: z.string() }))
        .min(1),
    }),
  }),
  PrometheusRule: z.strictObject({
    apiVersion: z.literal('monitoring.coreos.com/v1'),
    kind: z.literal('PrometheusRule'),
    metadata,
    spec: z.strictObject({
      groups: z
        .array(
          z.strictObject({
            name: z.string(),
            interval: z.string().optional(),
            rules: z.array(rule()).min(1),
          }),
        )
        .min(1),
    }),
  }),
} as const

function rule() {
  const labels = z.record(z.string(), z.string()).optional()
  const recorded = z.strictObject({ record: z.string(), expr: z.string(), labels })
  const alert = z.strictObject({
    alert: z.string(),
    expr: z.string(),
    for: z.string().optional(),
    keep_firing_for: z.string().optional(),
    labels,
    annotations: z.record(z.string(), z.string()).optional(),
  })
  return z.union([alert, recorded])
}

/** Whether the manifest's kind is a custom resource. */
export const isCustom = ({ kind }: Manifest): boolean => Object.hasOwn(KINDS, kind)

/** Returns the schema errors of a custom resource. */
export function findCustomMisuses(manifest: Manifest): string[] {
  const schema = KINDS[manifest.kind as keyof typeof KINDS]
  const { error } = schema.safeParse(manifest)
  return error ? [`${manifest.kind} ${manifest.metadata.name}: ${z.prettifyError(error)}`] : []
}
