{{- define "mltrail.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "mltrail.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "mltrail.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "mltrail.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What selects pods: it can't change in an upgrade. Call it with (dict "root" $ "component" "web"). */}}
{{- define "mltrail.selector" -}}
app.kubernetes.io/name: {{ include "mltrail.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "mltrail.labels" -}}
{{ include "mltrail.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "mltrail.image" -}}
{{- $repository := required "set image.repository to the server's image, such as registry.example.com/mlops/mltrail/server" .Values.image.repository -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "mltrail.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "mltrail.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "mltrail.generatedSecret" -}}
{{ include "mltrail.fullname" . }}-generated
{{- end }}

{{- define "mltrail.metricsSecret" -}}
{{- if .Values.monitoring.tokenSecret -}}
{{ .Values.monitoring.tokenSecret }}
{{- else if .Values.secrets.generate -}}
{{ include "mltrail.generatedSecret" . }}
{{- else -}}
{{ required "without secrets.generate, set secrets.existingSecret" .Values.secrets.existingSecret }}
{{- end -}}
{{- end }}

{{/* What can only be said of several values at once; the schema covers the rest. */}}
{{- define "mltrail.check" -}}
{{- if and .Values.database.bundled.enabled .Values.database.existingSecret -}}
{{- fail "database.bundled.enabled and database.existingSecret exclude each other: choose one database" -}}
{{- end -}}
{{- if not (or .Values.database.bundled.enabled .Values.database.existingSecret) -}}
{{- fail "set database.existingSecret to a Secret with the database's URL, or database.bundled.enabled to try mltrail out" -}}
{{- end -}}
{{- if not (or .Values.secrets.generate .Values.secrets.existingSecret) -}}
{{- fail "without secrets.generate, set secrets.existingSecret to a Secret with MLTRAIL_SECRET_KEY and MLTRAIL_METRICS_TOKEN" -}}
{{- end -}}
{{- if and .Values.files.s3.bucket .Values.files.volume.enabled -}}
{{- fail "files.s3.bucket and files.volume.enabled exclude each other: choose one place for files" -}}
{{- end -}}
{{- if not (or .Values.files.s3.bucket .Values.files.volume.enabled) -}}
{{- fail "set files.s3.bucket, or files.volume.enabled: the pods share their files" -}}
{{- end -}}
{{- if and .Values.monitoring.serviceMonitor .Values.networkPolicy.enabled .Values.networkPolicy.ingressFrom (not .Values.networkPolicy.metricsFrom) -}}
{{- fail "networkPolicy.ingressFrom keeps Prometheus out: name it in networkPolicy.metricsFrom, too" -}}
{{- end -}}
{{- range $name, $_ := .Values.settings -}}
{{- if has $name (splitList " " "MLTRAIL_DATABASE_URL MLTRAIL_DATABASE_REPLICA_URL MLTRAIL_GITLAB_TOKEN MLTRAIL_GITLAB_TOKENS MLTRAIL_OAUTH_CLIENT_SECRET MLTRAIL_WEBHOOK_SECRET MLTRAIL_SIGNING_KEY MLTRAIL_IMPORT_TOKEN MLTRAIL_IMPORT_PASSWORD MLTRAIL_METRICS_TOKEN MLTRAIL_LOCAL_TOKEN MLTRAIL_SECRET_KEY") -}}
{{- fail (printf "%s is a secret: put it into the Secret that secrets.existingSecret names" $name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The settings that are no secrets, by variable. */}}
{{- define "mltrail.settings" -}}
{{- $settings := dict
      "MLTRAIL_DATA_DIR" "/data"
      "MLTRAIL_EXTERNAL_URL" (required "set externalUrl to the URL that people and jobs use" .Values.externalUrl)
      "MLTRAIL_GITLAB_URL" (required "set gitlab.url to your GitLab" .Values.gitlab.url)
      "MLTRAIL_DRAIN_SECONDS" (.Values.web.drainSeconds | toString)
-}}
{{- with .Values.gitlab.allowedNamespaces }}{{ $_ := set $settings "MLTRAIL_ALLOWED_NAMESPACES" (join "," .) }}{{ end -}}
{{- if .Values.files.s3.bucket -}}
{{- $_ := set $settings "MLTRAIL_ARTIFACTS" (printf "s3://%s/%s" .Values.files.s3.bucket .Values.files.s3.prefix | trimSuffix "/") -}}
{{- with .Values.files.s3.endpointUrl }}{{ $_ := set $settings "MLTRAIL_S3_ENDPOINT_URL" . }}{{ end -}}
{{- with .Values.files.s3.region }}{{ $_ := set $settings "AWS_DEFAULT_REGION" . }}{{ end -}}
{{- else -}}
{{- $_ := set $settings "MLTRAIL_ARTIFACTS" "/files" -}}
{{- end -}}
{{- toYaml (merge (dict) .Values.settings $settings) -}}
{{- end }}

{{- define "mltrail.databaseEnv" -}}
- name: MLTRAIL_DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- if .Values.database.bundled.enabled }}
      name: {{ include "mltrail.fullname" . }}-postgresql
      key: MLTRAIL_DATABASE_URL
      {{- else }}
      name: {{ .Values.database.existingSecret }}
      key: {{ .Values.database.existingSecretKey }}
      {{- end }}
{{- end }}

{{/* Where a container gets its settings from. */}}
{{- define "mltrail.env" -}}
envFrom:
  - configMapRef:
      name: {{ include "mltrail.fullname" . }}
  {{- if .Values.secrets.generate }}
  - secretRef:
      name: {{ include "mltrail.generatedSecret" . }}
  {{- end }}
  {{- with .Values.secrets.existingSecret }}
  - secretRef:
      name: {{ . }} # the last one counts
  {{- end }}
env:
  {{- include "mltrail.databaseEnv" . | nindent 2 }}
  - name: MLTRAIL_METRICS_TOKEN
    valueFrom:
      secretKeyRef:
        name: {{ include "mltrail.metricsSecret" . }}
        key: MLTRAIL_METRICS_TOKEN
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "mltrail.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "mltrail.mounts" -}}
volumeMounts:
  - name: data
    mountPath: /data
  - name: tmp
    mountPath: /tmp
  {{- if .Values.files.volume.enabled }}
  - name: files
    mountPath: /files
  {{- end }}
{{- end }}

{{/* A pod's template up to its containers. Call it with root, component, and what matters of restartPolicy, grace, spread. */}}
{{- define "mltrail.pod" -}}
metadata:
  labels:
    {{- include "mltrail.labels" . | nindent 4 }}
    {{- with .root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/settings: {{ include "mltrail.settings" .root | sha256sum }}
    {{- with .root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if eq .component "migrate" }}
  {{- /* It runs before the release's service account exists. */}}
  serviceAccountName: default
  {{- else }}
  serviceAccountName: {{ include "mltrail.serviceAccountName" .root }}
  {{- end }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .grace }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- with .root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .root.Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .spread }}
  topologySpreadConstraints:
    {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "mltrail.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  volumes:
    - name: data
      emptyDir: {}
    - name: tmp
      emptyDir: {}
    {{- if and .root.Values.files.volume.enabled (ne .component "migrate") }}
    - name: files
      persistentVolumeClaim:
        claimName: {{ include "mltrail.fullname" .root }}-files
    {{- end }}
{{- end }}
