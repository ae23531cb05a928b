{{/*
What tells one service's pod from another's: its module, its section of the values, its own config keys.
*/}}
{{- define "assay.controller" -}}
{{- toJson (dict
  "component" "controller"
  "module" "assay.controller.main"
  "section" .Values.controller
  "more" (dict
    "namespace" .Release.Namespace
    "release" .Release.Name
    "aggregator" (include "assay.address" (list . "aggregator"))
    "datasets" (include "assay.address" (list . "dataset"))
    "lease" (include "assay.part" (list . "controller"))
    "tls_secret" (include "assay.tls.secret" .)
    "images" (fromJson (include "assay.images" .))
    "store_ca_secret" .Values.store.caSecret
    "store" (include "assay.store.address" .))
) -}}
{{- end -}}

{{- define "assay.dataset" -}}
{{- toJson (dict
  "component" "dataset"
  "module" "assay.dataset.main"
  "section" .Values.datasetService
  "more" (dict "work" "/tmp/work")
) -}}
{{- end -}}

{{- define "assay.aggregator" -}}
{{- toJson (dict
  "component" "aggregator"
  "module" "assay.aggregator.main"
  "section" .Values.aggregator
  "more" (dict
    "spool" "/tmp/spool"
    "lock" "lease"
    "lease" (include "assay.part" (list . "aggregator"))
    "service_account" "/var/run/assay")
) -}}
{{- end -}}
