{{/* Doors that several components need, as egress rules. */}}
{{- define "assay.egress.dns" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end -}}

{{- define "assay.egress.store" -}}
{{- if .Values.store.demo.enabled -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "assay.selector" (list . "minio") | nindent 10 }}
  ports: [{port: 9000}]
{{- else -}}
{{- $door := .Values.networkPolicy.store -}}
- ports:
    {{- range default (list (include "assay.store.port" .)) $door.ports }}
    - port: {{ . }}
    {{- end }}
  {{- with $door.cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "assay.store.port" -}}
{{- $given := regexFind ":[0-9]+$" .Values.store.endpoint | trimPrefix ":" -}}
{{- default (ternary "443" "80" .Values.store.secure) $given -}}
{{- end -}}

{{- define "assay.egress.aggregator" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "assay.selector" (list . "aggregator") | nindent 10 }}
  ports: [{port: 8443}]
{{- end -}}

{{/* After the Service was translated: the API server's own address and port. */}}
{{- define "assay.egress.apiserver" -}}
{{- $api := .Values.networkPolicy.apiServer -}}
- ports: [{port: {{ $api.port }}}, {port: 443}]
  {{- with $api.cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . }}}
    {{- end }}
  {{- end }}
{{- end -}}
