{{/* Whether there is an activator; empty: no. */}}
{{- define "forge.activates" -}}
{{- if and .Values.autoscaling.activator.enabled (ne .Values.autoscaling.backend "none") }}true{{ end -}}
{{- end }}

{{/* The name of all that belongs to it. */}}
{{- define "forge.activatorName" -}}
{{- printf "%s-activator" (include "forge.name" . | trunc 53 | trimSuffix "-") -}}
{{- end }}

{{- define "forge.activatorSelector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: activator
{{- end }}

{{- define "forge.activatorLabels" -}}
{{ include "forge.activatorSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What it may do in each namespace that is served. */}}
{{- define "forge.activatorRules" -}}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [get, patch]
# Why a model is not up, for whom it keeps waiting.
- apiGroups: [serving.scientificllm.io]
  resources: [scientificmodels]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
