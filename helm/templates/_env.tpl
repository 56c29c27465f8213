{{- define "spms.fromSecret" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret.name }}
      key: {{ .secret.key }}
{{- end }}

{{- define "spms.env.redis" -}}
{{- if eq .Values.redis.mode "inCluster" -}}
{{ include "spms.fromSecret" (dict "name" "REDIS_PASSWORD" "secret" .Values.secrets.redisPassword) }}
- name: REDIS_URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "spms.fullname" . }}-redis:6379
{{- else if eq .Values.redis.mode "cluster" -}}
{{- if .Values.redis.cluster.auth -}}
{{ include "spms.fromSecret" (dict "name" "REDIS_PASSWORD" "secret" .Values.secrets.redisPassword) }}
{{ end -}}
- name: REDIS_URL
  value: {{ include "spms.clusterUrl" .Values.redis.cluster | quote }}
{{- else -}}
{{ include "spms.fromSecret" (dict "name" "REDIS_URL" "secret" .Values.secrets.redisUrl) }}
{{- end }}
{{- end }}

{{- define "spms.clusterUrl" -}}
{{- $login := ternary (printf "%s:$(REDIS_PASSWORD)@" .user) "" .auth -}}
{{- $map := list -}}
{{- range $advertised, $reached := .addresses -}}
{{- $map = append $map (printf "%s=%s" $advertised $reached) -}}
{{- end -}}
{{ ternary "rediss" "redis" .tls }}-cluster://{{ $login }}{{ join "," .nodes }}?buckets={{ int64 .buckets }}
{{- with $map }}&map={{ join "," . }}{{ end }}
{{- end }}

{{- define "spms.env.caBundle" -}}
{{- if .Values.caBundle.configMap -}}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/spms/ca/ca.crt
{{- end }}
{{- end }}

{{- define "spms.env.api" -}}
{{ include "spms.fromSecret" (dict "name" "DATABASE_URL" "secret" .Values.secrets.apiDatabaseUrl) }}
{{ include "spms.fromSecret" (dict "name" "SESSION_SECRETS" "secret" .Values.secrets.sessionSecrets) }}
{{- if include "spms.isCached" . }}
{{ include "spms.env.redis" . }}
{{- end }}
{{- with .Values.media.container }}
{{ include "spms.fromSecret" (dict "name" "AZURE_STORAGE_CONNECTION_STRING" "secret" $.Values.secrets.azureStorage) }}
- name: AZURE_STORAGE_CONTAINER
  value: {{ . | quote }}
{{- end }}
{{- if .Values.media.claim }}
- name: MEDIA_ROOT
  value: /media
{{- end }}
{{- end }}

{{- define "spms.env.invalidator" -}}
{{ include "spms.fromSecret" (dict "name" "DATABASE_URL" "secret" .Values.secrets.invalidatorDatabaseUrl) }}
{{ include "spms.env.redis" . }}
{{- with .Values.secrets.consoleToken }}
{{- if .name }}
{{ include "spms.fromSecret" (dict "name" "CONSOLE_TOKEN" "secret" .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Environment of a command of `spms`. `retire` and `uninstall` wait for MAX_STALENESS_MS. */}}
{{- define "spms.env.command" -}}
{{ include "spms.fromSecret" (dict "name" "DATABASE_URL" "secret" .Values.secrets.ownerDatabaseUrl) }}
{{- with .Values.api.settings.MAX_STALENESS_MS }}
- name: MAX_STALENESS_MS
  value: {{ include "spms.setting" . | quote }}
{{- end }}
{{- end }}

{{- define "spms.env.doctor" -}}
{{ include "spms.env.command" . }}
{{- if ne .Values.redis.mode "none" }}
{{ include "spms.env.redis" . }}
{{- end }}
{{- with .Values.settings.CACHE_PREFIX }}
- name: CACHE_PREFIX
  value: {{ . | quote }}
{{- end }}
{{- end }}
