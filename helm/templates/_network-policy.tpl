{{/* Renders the NetworkPolicy of a component. No peers means all peers. Pods with egress may also use DNS. */}}
{{- define "spms.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "spms.fullname" .root }}-{{ .component }}
  labels:
    {{- include "spms.labels" . | nindent 4 }}
  {{- with .hook }}
  annotations:
    # Created before the Job, and deleted with it.
    helm.sh/hook: {{ . }}
    helm.sh/hook-weight: '-5'
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  {{- end }}
spec:
  podSelector:
    matchLabels:
      {{- include "spms.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- range .ingress }}
    {{- include "spms.networkPolicy.rule" (dict "side" "from" "of" .) | nindent 4 }}
    {{- else }} []
    {{- end }}
  egress:
    {{- range .egress }}
    {{- include "spms.networkPolicy.rule" (dict "side" "to" "of" .) | nindent 4 }}
    {{- else }} []
    {{- end }}
    {{- if .egress }}
    - ports:
        - { port: 53, protocol: UDP }
        - { port: 53, protocol: TCP }
    {{- end }}
{{- end }}

{{- define "spms.networkPolicy.rule" -}}
- ports:
    {{- range .of.ports }}
    {{- if kindIs "string" . }}
    {{- $ends := splitList "-" . }}
    - { port: {{ first $ends }}, endPort: {{ last $ends }}, protocol: TCP }
    {{- else }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
    {{- end }}
  {{- with .of.peers }}
  {{ $.side }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
