{{/* Renders the Deployment of a service. Expects `root`, `component` (`api` or `invalidator`) and `preStopSeconds`. */}}
{{- define "spms.deployment" -}}
{{- $own := index .root.Values .component }}
{{- $pod := dict "root" .root "hasMedia" (eq .component "api") }}
{{- $name := printf "%s-%s" (include "spms.fullname" .root) .component }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels:
    {{- include "spms.labels" . | nindent 4 }}
spec:
  {{- if not $own.autoscaling.enabled }}
  replicas: {{ $own.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  selector:
    matchLabels:
      {{- include "spms.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "spms.labels" . | nindent 8 }}
        {{- with $own.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # Replaces the pods when a setting changes. Helm cannot detect a changed Secret: restart the Deployment.
        spms/settings: {{ include "spms.settings" . | sha256sum }}
        {{- with $own.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "spms.pod" $pod | nindent 6 }}
      serviceAccountName: {{ include "spms.serviceAccount" .root }}
      # The program ends within 25 s after SIGTERM, which follows preStop.
      terminationGracePeriodSeconds: {{ add 30 .preStopSeconds }}
      {{- with $own.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          # Spreads the pods of each rollout separately.
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels:
              {{- include "spms.selector" $ | nindent 14 }}
        {{- end }}
      {{- range $field := list "nodeSelector" "tolerations" "affinity" }}
      {{- with index $own $field }}
      {{ $field }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ include "spms.image" . }}
          command: [node, dist/{{ .component }}/main.js]
          {{- include "spms.container" $pod | nindent 10 }}
          envFrom:
            - configMapRef:
                name: {{ $name }}
          env:
            {{- include (printf "spms.env.%s" .component) .root | nindent 12 }}
            {{- with include "spms.env.caBundle" .root }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- with $own.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            {{- if eq .component "api" }}
            - name: http
              containerPort: {{ $own.port }}
            {{- end }}
            - name: metrics
              containerPort: {{ $own.metricsPort }}
          startupProbe:
            httpGet: { path: /livez, port: metrics }
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 30
          livenessProbe:
            httpGet: { path: /livez, port: metrics }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: { path: /readyz, port: metrics }
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
          {{- if .preStopSeconds }}
          lifecycle:
            preStop:
              sleep:
                seconds: {{ .preStopSeconds }}
          {{- end }}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
{{- end }}
