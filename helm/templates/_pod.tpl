{{/* Fields of every pod that runs an image of SPMS, without its containers. Expects `root`, and `hasMedia` if it reads uploaded files. */}}
{{- define "spms.pod" -}}
{{- $claim := and .hasMedia .root.Values.media.claim -}}
automountServiceAccountToken: false
# A Service called `metrics` would otherwise set METRICS_PORT.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  {{- if $claim }}
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- if or .root.Values.caBundle.configMap $claim }}
volumes:
  {{- if .root.Values.caBundle.configMap }}
  - name: ca
    configMap:
      name: {{ .root.Values.caBundle.configMap }}
      items:
        - key: {{ .root.Values.caBundle.key }}
          path: ca.crt
  {{- end }}
  {{- if $claim }}
  - name: media
    persistentVolumeClaim:
      claimName: {{ $claim }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Fields of every container: no privileges, a read-only file system. Expects the same as `spms.pod`. */}}
{{- define "spms.container" -}}
{{- $claim := and .hasMedia .root.Values.media.claim -}}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- if or .root.Values.caBundle.configMap $claim }}
volumeMounts:
  {{- if .root.Values.caBundle.configMap }}
  - name: ca
    mountPath: /etc/spms/ca
    readOnly: true
  {{- end }}
  {{- if $claim }}
  - name: media
    mountPath: /media
  {{- end }}
{{- end }}
{{- end }}
