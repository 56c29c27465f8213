{{/* Converts a value of `settings` to the text of an environment variable. Helm parses numbers as floats, so 1000000 would become 1e+06. */}}
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

{{/* Settings of a component that are not secret, with its addresses. */}}
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

{{/* `true` if the API uses the cache, else empty. */}}
{{- define "spms.isCached" -}}
{{- $enabled := .Values.api.settings.CACHE_ENABLED }}
{{- if or (kindIs "invalid" $enabled) $enabled }}true{{ end }}
{{- end }}
