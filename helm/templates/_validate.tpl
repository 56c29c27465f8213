{{/* Fails for combinations of values that the schema cannot reject. */}}
{{- define "spms.validate" -}}
{{- $cached := include "spms.isCached" . }}
{{- if and $cached (not .Values.invalidator.enabled) }}
{{- fail "invalidator.enabled: may be false only with api.settings.CACHE_ENABLED false, since no entry would be invalidated" }}
{{- end }}
{{- if and (eq .Values.redis.mode "none") (or $cached .Values.invalidator.enabled) }}
{{- fail "redis.mode: may be none only with api.settings.CACHE_ENABLED false and invalidator.enabled false" }}
{{- end }}
{{- if and (eq .Values.redis.mode "cluster") (not .Values.redis.cluster.nodes) }}
{{- fail "redis.cluster.nodes: needs at least one host and port" }}
{{- end }}
{{- if and .Values.redis.cluster.user (not .Values.redis.cluster.auth) }}
{{- fail "redis.cluster.user: needs redis.cluster.auth, since a user has a password" }}
{{- end }}
{{- if and .Values.media.claim .Values.media.container }}
{{- fail "media: set claim or container, not both" }}
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
{{- fail "ingress.hosts: needs at least one host" }}
{{- end }}
{{- if not (hasKey .Values.api.settings "TRUST_PROXY") }}
{{- fail "api.settings.TRUST_PROXY: needed behind an Ingress, since otherwise all clients share one rate limit; set the number of proxies, or their networks" }}
{{- end }}
{{- end }}
{{- end }}
