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

{{/* What every process is told; "service" is the prefix of its variables: INGEST, METER or QUERY; "component" names it to
Kafka and ClickHouse, "values" are those of the component. */}}
{{- define "tollbooth.commonEnv" -}}
{{- $own := printf "TOLLBOOTH_%s__" .service }}
- name: KAFKA_BOOTSTRAP
  value: {{ .root.Values.kafka.bootstrap | quote }}
- name: {{ $own }}KAFKA__TOPIC_PREFIX
  value: {{ .root.Values.kafka.topicPrefix | quote }}
{{- range $key, $value := .root.Values.kafka.settings }}
- name: {{ $own }}KAFKA__SETTINGS__{{ upper $key }}
  value: {{ $value | quote }}
{{- end }}
{{- range $property, $key := .root.Values.kafka.secretSettings }}
{{ include "tollbooth.secretEnv" (dict "root" $.root "name" (printf "%sKAFKA__SETTINGS__%s" $own (upper $property)) "key" $key) }}
{{- end }}
{{- with .root.Values.kafka.users.prefix }}
- name: {{ $own }}KAFKA__SETTINGS__SASL_USERNAME
  value: {{ printf "%s%s" . $.component | quote }}
{{ include "tollbooth.secretEnv" (dict "root" $.root "name" (printf "%sKAFKA__SETTINGS__SASL_PASSWORD" $own) "key" (printf "kafka-%s" $.component)) }}
{{- end }}
{{- if .root.Values.kafka.ca.secret }}
- name: {{ $own }}KAFKA__SETTINGS__SSL_CA_LOCATION
  value: /etc/tollbooth/kafka-ca/{{ .root.Values.kafka.ca.key }}
{{- end }}
{{- if ne .service "QUERY" }}
- name: {{ $own }}TOPICS__PARTITIONS
  value: {{ .root.Values.kafka.partitions | quote }}
- name: {{ $own }}TOPICS__REPLICATION
  value: {{ .root.Values.kafka.replication | quote }}
{{- end }}
{{- range $key, $value := .values.settings }}
- name: {{ $own }}{{ $key }}
  value: {{ $value | quote }}
{{- end }}
{{- range $key, $secret := .values.secretSettings }}
{{ include "tollbooth.secretEnv" (dict "root" $.root "name" (printf "%s%s" $own $key) "key" $secret) }}
{{- end }}
{{- end }}

{{/* For those that ask ClickHouse; arguments as above. */}}
{{- define "tollbooth.clickhouseEnv" -}}
{{- $users := .root.Values.clickhouse.users.prefix }}
- name: CLICKHOUSE_URL
  value: {{ .root.Values.clickhouse.url | quote }}
- name: CLICKHOUSE_DATABASE
  value: {{ .root.Values.clickhouse.database | quote }}
- name: CLICKHOUSE_USER
  value: {{ (ternary (printf "%s%s" $users .component) .root.Values.clickhouse.user (ne $users "")) | quote }}
{{ include "tollbooth.secretEnv" (dict "root" .root "name" "CLICKHOUSE_PASSWORD" "key" (ternary (printf "clickhouse-%s" .component) .root.Values.secret.keys.clickhousePassword (ne $users ""))) }}
{{- if .root.Values.clickhouse.ca.secret }}
- name: TOLLBOOTH_{{ .service }}__CLICKHOUSE__CA_LOCATION
  value: /etc/tollbooth/clickhouse-ca/{{ .root.Values.clickhouse.ca.key }}
{{- end }}
{{- end }}

{{/* Webhooks, for ingest and effects alike. */}}
{{- define "tollbooth.webhookEnv" -}}
{{- if .Values.webhooks.enabled }}
{{ include "tollbooth.secretEnv" (dict "root" . "name" "TOLLBOOTH_INGEST__WEBHOOKS__SECRET" "key" .Values.secret.keys.webhooksSecret) }}
{{- end }}
{{- end }}

{{/* Scratch space, and the authorities that Kafka's and ClickHouse's certificates come from; of the root. */}}
{{- define "tollbooth.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- range $name := list "kafka" "clickhouse" }}
{{- if (index $.Values $name).ca.secret }}
- name: {{ $name }}-ca
  mountPath: /etc/tollbooth/{{ $name }}-ca
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{- define "tollbooth.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- range $name := list "kafka" "clickhouse" }}
{{- with (index $.Values $name).ca }}
{{- if .secret }}
- name: {{ $name }}-ca
  secret:
    secretName: {{ .secret }}
    items: [{key: {{ .key | quote }}, path: {{ .key | quote }}}]
{{- end }}
{{- end }}
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
