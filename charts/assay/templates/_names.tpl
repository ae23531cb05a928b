{{/*
Names and labels. `assay.name` is the release's own; `assay.part` adds a component and stays within 63
characters. A component is given as a list: (list . "aggregator").
*/}}
{{- define "assay.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "assay.part" -}}
{{- printf "%s-%s" (include "assay.name" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* Where a service of ours is called. */}}
{{- define "assay.address" -}}
{{- printf "%s.%s.svc:8443" (include "assay.part" .) (index . 0).Release.Namespace -}}
{{- end -}}

{{/* What never changes of a component: selectors hold only this. */}}
{{- define "assay.selector" -}}
app.kubernetes.io/name: assay
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "assay.labels" -}}
{{- $root := index . 0 -}}
{{ include "assay.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: assay
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "assay.meta" -}}
name: {{ include "assay.part" . }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "assay.labels" . | nindent 2 }}
{{- end -}}

{{/* An image's whole name: (list . .Values.images.control). */}}
{{- define "assay.image" -}}
{{- $root := index . 0 -}}{{- $image := index . 1 -}}
{{- with $root.Values.images.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{/* The images of Jobs, as a run's placement has them. */}}
{{- define "assay.images" -}}
{{- $images := dict "pullPolicy" .Values.images.pullPolicy "pullSecrets" (default list .Values.images.pullSecrets) -}}
{{- range $name := list "worker" "torch" "judge" "scorer" -}}
{{- $_ := set $images $name (include "assay.image" (list $ (index $.Values.images $name))) -}}
{{- end -}}
{{- toJson $images -}}
{{- end -}}

{{/* Where everything of this release stands in the bucket. */}}
{{- define "assay.store.prefix" -}}
{{- default (printf "%s/%s" .Release.Namespace .Release.Name) .Values.store.prefix -}}
{{- end -}}

{{- define "assay.store.secure" -}}
{{- if and .Values.store.secure (not .Values.store.demo.enabled) }}true{{ end -}}
{{- end -}}

{{/* The store for people. */}}
{{- define "assay.store.address" -}}
{{- $scheme := ternary "https" "http" (eq (include "assay.store.secure" .) "true") -}}
{{- printf "%s://%s/%s/%s" $scheme (include "assay.store.endpoint" .) .Values.store.bucket (include "assay.store.prefix" .) -}}
{{- end -}}

{{- define "assay.store.secret" -}}
{{- default (include "assay.part" (list . "store")) .Values.store.existingSecret -}}
{{- end -}}

{{- define "assay.store.endpoint" -}}
{{- if .Values.store.demo.enabled -}}
{{- printf "%s.%s.svc:9000" (include "assay.part" (list . "minio")) .Release.Namespace -}}
{{- else -}}
{{- .Values.store.endpoint -}}
{{- end -}}
{{- end -}}

{{/* cert-manager's has a name of its own: Helm would take away what it made under the other. */}}
{{- define "assay.tls.secret" -}}
{{- $made := ternary "certificate" "tls" (not (not .Values.tls.certManager.issuer.name)) -}}
{{- default (include "assay.part" (list . $made)) .Values.tls.existingSecret -}}
{{- end -}}

{{- define "assay.keys.secret" -}}
{{- default (include "assay.part" (list . "keys")) .Values.existingSecret -}}
{{- end -}}

{{/* A model's key, as VLMEvalKit names its folder. */}}
{{- define "assay.model.key" -}}
{{- regexReplaceAll "^.*/" (toString (default .name .type)) "" | replace ":" "-" | replace "." "_" -}}
{{- end -}}

{{/*
The keys of all models in their order, as a JSON list: those that would share a folder with an earlier one are
numbered. What `unique_keys` of services/assay/config/naming.py does.
*/}}
{{- define "assay.model.keys" -}}
{{- $wanted := list -}}
{{- range .Values.eval_config.model -}}
{{- $wanted = append $wanted (include "assay.model.key" . | lower) -}}
{{- end -}}
{{- $taken := list "samples" "logs" "configs" -}}
{{- $names := list -}}
{{- range .Values.eval_config.model -}}
{{- $key := include "assay.model.key" . -}}
{{- $name := "" -}}
{{- range $number := untilStep 1 100 1 -}}
{{- $try := ternary $key (printf "%s-%d" $key $number) (eq $number 1) -}}
{{- if not (or $name (has (lower $try) $taken) (and (gt $number 1) (has (lower $try) $wanted))) -}}
{{- $name = $try -}}
{{- end -}}
{{- end -}}
{{- $taken = append $taken (lower $name) -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}
