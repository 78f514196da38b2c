{{/* Kubernetes' limit of 63 holds: a release's name has at most 53 characters. */}}
{{- define "isocast.name" -}}
{{ .Release.Name }}-operator
{{- end }}

{{/* For objects outside of namespaces, so that two releases of one name do not meet. */}}
{{- define "isocast.clusterWideName" -}}
{{ .Release.Namespace }}:{{ include "isocast.name" . }}
{{- end }}

{{- define "isocast.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "isocast.name" .) }}
{{- end }}

{{- define "isocast.image" -}}
{{- with .Values.image -}}
{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* A Deployment's selector can never change: nothing of a version may be in here. */}}
{{- define "isocast.selector" -}}
app.kubernetes.io/name: isocast
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "isocast.labels" -}}
{{ include "isocast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}
