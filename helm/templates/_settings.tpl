{{/* A value of `settings` as the environment has it. Helm reads numbers as floats: 1000000 would be 1e+06. */}}
{{- define "spms.setting" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if kindIs "map" . }}
{{- $items := list }}
{{- range $name, $value := . }}{{ $items = append $items (printf "%s=%v" $name (int64 $value)) }}{{ end }}
{{- join "," $items }}
{{- else if kindIs "float64" . }}{{ int64 . }}
{{- else }}{{ . }}
{{- end }}
{{- end }}

{{/* The plain settings of a component, and where it listens. */}}
{{- define "spms.settings" -}}
{{- $own := index .root.Values .component -}}
HOST: 0.0.0.0
METRICS_PORT: {{ int64 $own.metricsPort | quote }}
{{- if eq .component "api" }}
PORT: {{ int64 $own.port | quote }}
{{- end }}
{{- range $name, $value := merge (dict) $own.settings .root.Values.settings }}
{{ $name }}: {{ include "spms.setting" $value | quote }}
{{- end }}
{{- end }}

{{/* Whether the API may use a cache: `true`, or nothing. */}}
{{- define "spms.isCached" -}}
{{- $enabled := .Values.api.settings.CACHE_ENABLED }}
{{- if or (kindIs "invalid" $enabled) $enabled }}true{{ end }}
{{- end }}
