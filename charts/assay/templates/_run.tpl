{{/*
The EvalScope file as the user wrote it, without keys: they go into a Secret, by the model's place. Each model
has one, since its pods wait for it: EMPTY, which VLMEvalKit sends as well, where none is given.
*/}}
{{- define "assay.run.keys" -}}
{{- $keys := dict -}}
{{- range $index, $model := .Values.eval_config.model -}}
{{- $_ := set $keys (printf "model.%d" $index) (toString (default "EMPTY" $model.key)) -}}
{{- end -}}
{{- $judge := default .Values.eval_config.judge_key .Values.eval_config.OPENAI_API_KEY -}}
{{- if or $judge (include "assay.run.judged" .) -}}
{{- $_ := set $keys "judge" (toString (default "EMPTY" $judge)) -}}
{{- end -}}
{{- toJson $keys -}}
{{- end -}}

{{/* Whether the file names a judge model; empty: it does not. */}}
{{- define "assay.run.judged" -}}
{{- $config := .Values.eval_config -}}
{{- if ne (toString (default "exact_matching" $config.judge)) "exact_matching" -}}true
{{- else if and $config.LOCAL_LLM (not $config.judge) -}}true
{{- end -}}
{{- end -}}

{{/* Whether a secret stands in the file; empty: none does. */}}
{{- define "assay.run.inline" -}}
{{- range $key := include "assay.run.keys" . | fromJson | values -}}
{{- if ne $key "EMPTY" }}true{{ end -}}
{{- end -}}
{{- end -}}

{{/* Whoever reads eval_config asks this first: Helm renders in an order of its own. */}}
{{- define "assay.run.written" -}}
{{- if kindIs "string" .Values.eval_config -}}
{{- fail (printf "eval_config: names the file %s, and pods have none of yours: write its keys below eval_config" .Values.eval_config) -}}
{{- end -}}
{{- end -}}

{{- define "assay.run.platformKeys" -}}
{{- toJson (list "nameOverride" "fullnameOverride" "images" "controller" "datasetService" "aggregator" "scorer"
  "store" "models" "judge" "gpuPhases" "gpuResource" "queue" "networkPolicy" "monitoring" "tls" "existingSecret"
  "suspend" "ttlSecondsAfterFinished" "global") -}}
{{- end -}}

{{- define "assay.run.file" -}}
{{- $file := dict -}}
{{- $platform := include "assay.run.platformKeys" . | fromJsonArray -}}
{{- range $key, $value := .Values -}}
{{- if not (or (has $key $platform) (eq $key "api_key")) -}}{{- $_ := set $file $key $value -}}{{- end -}}
{{- end -}}
{{- $models := list -}}
{{- range .Values.eval_config.model -}}
{{- $models = append $models (omit . "key") -}}
{{- end -}}
{{- $config := omit .Values.eval_config "judge_key" "OPENAI_API_KEY" -}}
{{- toYaml (set $file "eval_config" (set $config "model" $models)) -}}
{{- end -}}
