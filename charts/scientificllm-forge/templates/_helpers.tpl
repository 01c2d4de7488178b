{{/* The name of everything in the release's namespace: 63 characters at most. */}}
{{- define "forge.name" -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if contains .Chart.Name $release -}}
{{- $release | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" ($release | trunc 43 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end }}

{{/* The name of all that belongs to the metrics server. */}}
{{- define "forge.metricsName" -}}
{{- printf "%s-metrics-api" (include "forge.name" . | trunc 51 | trimSuffix "-") -}}
{{- end }}

{{/* The name of everything without a namespace: two releases must not share it. */}}
{{- define "forge.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "forge.name" .) -}}
{{- end }}

{{- define "forge.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "forge.labels" -}}
{{ include "forge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "forge.metricsSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: metrics-api
{{- end }}

{{- define "forge.metricsLabels" -}}
{{ include "forge.metricsSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Whether autoscalers ask our metrics server; empty: no. KEDA asks Prometheus where there is one. */}}
{{- define "forge.metricsServer" -}}
{{- if or (eq .Values.autoscaling.backend "hpa") (and (eq .Values.autoscaling.backend "keda") (not .Values.autoscaling.prometheusAddress)) }}true{{ end -}}
{{- end }}

{{/* What the metrics server may do in each namespace that is served. */}}
{{- define "forge.metricsRules" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- if eq .Values.podAccess "proxy" }}
- apiGroups: [""]
  resources: [pods/proxy]
  verbs: [get]
{{- end }}
{{- end }}

{{/* Whether the cluster knows this kind of the Prometheus operator; empty: no. A dict of `kind` and `root`. */}}
{{- define "forge.monitoring" -}}
{{- if .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) }}true{{ end -}}
{{- end }}

{{/* Call with a dict of `image` and `root`. */}}
{{- define "forge.image" -}}
{{- with .image.digest -}}
{{ $.image.repository }}@{{ . }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The Pod Security Standard `restricted`, for a container. */}}
{{- define "forge.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The Pod Security Standard `restricted`, for a pod. */}}
{{- define "forge.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What the operator may do in each namespace that it serves. */}}
{{- define "forge.rules" -}}
- apiGroups: [serving.scientificllm.io]
  resources: [scientificmodels]
  verbs: [get, list, watch]
- apiGroups: [serving.scientificllm.io]
  resources: [scientificmodels/status]
  verbs: [patch]
# A child's ownerReference blocks the deletion of its model until the child is gone: that needs this.
- apiGroups: [serving.scientificllm.io]
  resources: [scientificmodels/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
# Of a model that an autoscaler has: from 0 to its first pods, which no HorizontalPodAutoscaler does.
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Those of a backend that was chosen before are removed.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, {{ if eq .Values.autoscaling.backend "hpa" }}create, patch, {{ end }}delete]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, {{ if eq .Values.autoscaling.backend "keda" }}create, patch, {{ end }}delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- if eq .Values.podAccess "proxy" }}
- apiGroups: [""]
  resources: [pods/proxy]
  verbs: [get]
{{- end }}
{{- end }}

{{/* What it must read of its own definition, wherever it serves. */}}
{{- define "forge.definitionRules" -}}
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [scientificmodels.serving.scientificllm.io]
  verbs: [get]
{{- end }}
