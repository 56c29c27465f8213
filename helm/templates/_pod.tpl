{{/* Fields of every pod that runs an image of SPMS, without its containers. */}}
{{- define "spms.pod" -}}
automountServiceAccountToken: false
# A Service called `metrics` would otherwise set METRICS_PORT.
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  seccompProfile:
    type: RuntimeDefault
{{- if .Values.caBundle.configMap }}
volumes:
  - name: ca
    configMap:
      name: {{ .Values.caBundle.configMap }}
      items:
        - key: {{ .Values.caBundle.key }}
          path: ca.crt
{{- end }}
{{- end }}

{{/* Fields of every container: no privileges, a read-only file system. */}}
{{- define "spms.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- if .Values.caBundle.configMap }}
volumeMounts:
  - name: ca
    mountPath: /etc/spms/ca
    readOnly: true
{{- end }}
{{- end }}
