{{/* Maps each enabled Job to its Helm hooks. */}}
{{- define "spms.jobHooks" -}}
{{- with .Values.jobs }}
{{- if .install.enabled }}
install: pre-install,pre-upgrade,pre-rollback
{{- end }}
{{- if .retire.enabled }}
retire: post-upgrade
{{- end }}
{{- if .uninstall.enabled }}
uninstall: pre-delete
{{- end }}
{{- end }}
{{- end }}

{{/* Renders a container that runs a command of `spms` with the owner's DATABASE_URL. */}}
{{- define "spms.command" -}}
name: {{ index .args 0 }}
image: {{ include "spms.image" (dict "root" .root "component" "api") }}
command: [node, dist/scripts/spms.js]
args: {{ toJson .args }}
{{- include "spms.container" (dict "root" .root) | nindent 0 }}
env:
  {{- include (printf "spms.env.%s" (.env | default "command")) .root | nindent 2 }}
  {{- with include "spms.env.caBundle" .root }}
  {{- . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .root.Values.jobs.resources | nindent 2 }}
{{- end }}

{{/* Renders a Job as a hook. It may run before the release exists, so it uses only Secrets. */}}
{{- define "spms.job" -}}
{{- $of := dict "root" .root "component" .name }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "spms.fullname" .root }}-{{ .name }}
  labels:
    {{- include "spms.labels" $of | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hook }}
    # A failed Job is kept, with its log.
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: {{ .root.Values.jobs.backoffLimit }}
  activeDeadlineSeconds: {{ .root.Values.jobs.activeDeadlineSeconds }}
  template:
    metadata:
      labels:
        {{- include "spms.labels" $of | nindent 8 }}
    spec:
      {{- include "spms.pod" (dict "root" .root) | nindent 6 }}
      restartPolicy: Never
      {{- if and (eq .name "install") .root.Values.jobs.install.freshDatabase }}
      initContainers:
        - {{ include "spms.command" (dict "root" .root "args" (list "migrate")) | indent 10 | trim }}
      {{- end }}
      containers:
        - {{ include "spms.command" (dict "root" .root "args" (list .name)) | indent 10 | trim }}
{{- end }}
