{{/* What the operator may do where it looks after LiveClusters, and why. */}}
{{- define "isocast.rules" -}}
# What people ask for.
- apiGroups: [isocast.dev]
  resources: [liveclusters]
  verbs: [get, list, watch]
# The same; and the finalizer, so that a room goes from the nodes before its LiveRoom does.
- apiGroups: [isocast.dev]
  resources: [liverooms]
  verbs: [get, list, watch, patch]
# What became of it.
- apiGroups: [isocast.dev]
  resources: [liveclusters/status, liverooms/status]
  verbs: [patch]
# Stream keys and the nodes' tokens, each by its name. Nothing here can list Secrets; they are deleted
# with their owner, by Kubernetes.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
# What a LiveCluster consists of: made and changed (both are patch, and the first one create; update
# where others changed what cannot be patched back), watched so that a change by others is undone,
# deleted where the spec wants it no more.
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, update, patch, delete]
# Which nodes run and where; an annotation of theirs makes the kubelet deliver a new token at once.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch]
# A node that runs an old spec is drained, never killed: PodDisruptionBudgets are asked.
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
# What `kubectl describe` shows.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
