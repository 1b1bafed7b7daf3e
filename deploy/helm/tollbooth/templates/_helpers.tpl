{{- define "tollbooth.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Of (dict "root" . "component" "ingest"). */}}
{{- define "tollbooth.name" -}}
{{ printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tollbooth.selector" -}}
app.kubernetes.io/name: tollbooth
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "tollbooth.labels" -}}
{{ include "tollbooth.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* A variable from the secret; of (dict "root" . "name" "X" "key" "admin-key"). */}}
{{- define "tollbooth.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.secret.name }}
      key: {{ .key }}
{{- end }}

{{/* Stripe, for ingest and effects. */}}
{{- define "tollbooth.stripeEnv" -}}
{{- if eq .Values.purchases.provider "stripe" }}
{{ include "tollbooth.secretEnv" (dict "root" . "name" "TOLLBOOTH_INGEST__PURCHASES__STRIPE__SECRET_KEY" "key" .Values.secret.keys.stripeSecretKey) }}
{{ include "tollbooth.secretEnv" (dict "root" . "name" "TOLLBOOTH_INGEST__PURCHASES__STRIPE__WEBHOOK_SECRETS" "key" .Values.secret.keys.stripeWebhookSecrets) }}
- name: TOLLBOOTH_INGEST__PURCHASES__STRIPE__RETURN_URL
  value: {{ required "purchases.stripe.returnUrl: where payers come back to" .Values.purchases.stripe.returnUrl | quote }}
{{- end }}
{{- end }}

{{/* What every process is told; "service" is the prefix of its variables: INGEST, METER or QUERY. */}}
{{- define "tollbooth.commonEnv" -}}
- name: KAFKA_BOOTSTRAP
  value: {{ .root.Values.kafka.bootstrap | quote }}
- name: CLICKHOUSE_URL
  value: {{ .root.Values.clickhouse.url | quote }}
- name: CLICKHOUSE_DATABASE
  value: {{ .root.Values.clickhouse.database | quote }}
- name: CLICKHOUSE_USER
  value: {{ .root.Values.clickhouse.user | quote }}
{{ include "tollbooth.secretEnv" (dict "root" .root "name" "CLICKHOUSE_PASSWORD" "key" .root.Values.secret.keys.clickhousePassword) }}
- name: TOLLBOOTH_{{ .service }}__KAFKA__TOPIC_PREFIX
  value: {{ .root.Values.kafka.topicPrefix | quote }}
{{- range $key, $value := .root.Values.kafka.settings }}
- name: TOLLBOOTH_{{ $.service }}__KAFKA__SETTINGS__{{ upper $key }}
  value: {{ $value | quote }}
{{- end }}
{{- range $property, $key := .root.Values.kafka.secretSettings }}
{{ include "tollbooth.secretEnv" (dict "root" $.root "name" (printf "TOLLBOOTH_%s__KAFKA__SETTINGS__%s" $.service (upper $property)) "key" $key) }}
{{- end }}
{{- if ne .service "QUERY" }}
- name: TOLLBOOTH_{{ .service }}__TOPICS__PARTITIONS
  value: {{ .root.Values.kafka.partitions | quote }}
- name: TOLLBOOTH_{{ .service }}__TOPICS__REPLICATION
  value: {{ .root.Values.kafka.replication | quote }}
{{- end }}
{{- range $key, $value := .settings }}
- name: TOLLBOOTH_{{ $.service }}__{{ $key }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Probes of the operations listener. */}}
{{- define "tollbooth.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: operations}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: operations}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: operations}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end }}

{{- define "tollbooth.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The pod around the container; of (dict "root" . "component" c). */}}
{{- define "tollbooth.pod" -}}
serviceAccountName: {{ .root.Release.Name }}-tollbooth
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ .root.Values.spreadTopologyKey }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "tollbooth.selector" . | nindent 8 }}
{{- end }}
