{{/* What one value alone does not show to be wrong. */}}
{{- define "spms.validate" -}}
{{- $cached := include "spms.isCached" . }}
{{- if and $cached (not .Values.invalidator.enabled) }}
{{- fail "invalidator.enabled: may be false only with api.settings.CACHE_ENABLED false, since nothing would be forgotten" }}
{{- end }}
{{- if and (eq .Values.redis.mode "none") (or $cached .Values.invalidator.enabled) }}
{{- fail "redis.mode: may be none only with api.settings.CACHE_ENABLED false and invalidator.enabled false" }}
{{- end }}
{{- range $name := list "api" "invalidator" }}
{{- with index $.Values . "autoscaling" }}
{{- if gt (int64 .minReplicas) (int64 .maxReplicas) }}
{{- fail (printf "%s.autoscaling: minReplicas is above maxReplicas" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.ingress.enabled }}
{{- if not .Values.ingress.hosts }}
{{- fail "ingress.hosts: needs at least one" }}
{{- end }}
{{- if not (hasKey .Values.api.settings "TRUST_PROXY") }}
{{- fail "api.settings.TRUST_PROXY: needed behind an Ingress, or all clients are taken for one and share its rate limit; such as the number of proxies, or their networks" }}
{{- end }}
{{- end }}
{{- end }}
