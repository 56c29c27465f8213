{{/* At most 40 characters: with the longest suffix a name must not exceed 63. */}}
{{- define "spms.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "spms.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "spms.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* Labels that never change: the selector of a Deployment is immutable. */}}
{{- define "spms.selector" -}}
app.kubernetes.io/name: spms-api
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "spms.labels" -}}
{{ include "spms.selector" . }}
app.kubernetes.io/part-of: spms
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "spms.image" -}}
{{- $image := index .root.Values .component "image" }}
{{- $from := .root.Values.image }}
{{- with $from.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $from.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}
