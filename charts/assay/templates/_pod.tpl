{{/*
What every pod of ours has: Pod Security `restricted`, no token unless it is asked for, a read-only root.
*/}}
{{- define "assay.pod.security" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "assay.container.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "assay.pod.pullSecrets" -}}
{{- with .Values.images.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Scheduling of a component: its section of the values. */}}
{{- define "assay.pod.scheduling" -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" -}}
{{- with index $ $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- range $key := list "priorityClassName" "runtimeClassName" -}}
{{- with index $ $key }}
{{ $key }}: {{ . | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/*
The pod of a service: (dict "root" . "component" "dataset" "module" "assay.dataset.main" "section" …
"health" port). It serves on 8443 with TLS, and health without on 8080.
*/}}
{{- define "assay.service.pod" -}}
{{- $part := list .root .component -}}
metadata:
  labels:
    {{- include "assay.labels" $part | nindent 4 }}
    {{- with .section.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/config: {{ include "assay.config" . | sha256sum }}
    {{- with .section.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "assay.part" $part }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  {{- include "assay.pod.pullSecrets" .root | nindent 2 }}
  securityContext:
    {{- include "assay.pod.security" .root | nindent 4 }}
  {{- include "assay.pod.scheduling" .section | nindent 2 }}
  containers:
    - name: {{ .component }}
      image: {{ include "assay.image" (list .root .root.Values.images.control) | quote }}
      imagePullPolicy: {{ .root.Values.images.pullPolicy }}
      args: [{{ .module }}, --config, /etc/assay/config.json]
      ports:
        - {name: grpc, containerPort: 8443}
        - {name: health, containerPort: 8080}
        - {name: metrics, containerPort: 9090}
      startupProbe:
        grpc: {port: 8080}
        periodSeconds: 1
        failureThreshold: 120
      readinessProbe:
        grpc: {port: 8080}
        periodSeconds: 5
      livenessProbe:
        grpc: {port: 8080}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      resources:
        {{- toYaml .section.resources | nindent 8 }}
      securityContext:
        {{- include "assay.container.security" .root | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/assay, readOnly: true}
        - {name: tls, mountPath: /etc/assay-tls, readOnly: true}
        - {name: identity, mountPath: /var/run/assay, readOnly: true}
        - {name: scratch, mountPath: /tmp}
        {{- if eq .component "controller" }}
        - {name: api, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
        {{- else }}
        - {name: store, mountPath: /etc/assay-store, readOnly: true}
        {{- with .root.Values.store.caSecret }}
        - {name: store-ca, mountPath: /etc/assay-store-ca, readOnly: true}
        {{- end }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "assay.part" $part }}}
    - name: tls
      secret: {secretName: {{ include "assay.tls.secret" .root }}}
    - name: identity
      projected:
        sources:
          - serviceAccountToken:
              path: token
              expirationSeconds: 600
              {{- /* The controller calls services; a service reads the cluster's keys at the API server. */}}
              {{- if eq .component "controller" }}
              audience: assay/{{ .root.Release.Namespace }}/{{ .root.Release.Name }}/controller
              {{- end }}
          - configMap:
              name: kube-root-ca.crt
              items: [{key: ca.crt, path: ca.crt}]
          - downwardAPI:
              items:
                - path: namespace
                  fieldRef: {fieldPath: metadata.namespace}
    - name: scratch
      emptyDir: {}
    {{- if eq .component "controller" }}
    # Where clients look for it; unlike the one that is mounted by itself it goes to this container alone.
    - name: api
      projected:
        sources:
          - serviceAccountToken: {path: token, expirationSeconds: 3600}
          - configMap:
              name: kube-root-ca.crt
              items: [{key: ca.crt, path: ca.crt}]
          - downwardAPI:
              items:
                - path: namespace
                  fieldRef: {fieldPath: metadata.namespace}
    {{- else }}
    - name: store
      secret: {secretName: {{ include "assay.store.secret" .root }}}
    {{- with .root.Values.store.caSecret }}
    - name: store-ca
      secret: {secretName: {{ . }}}
    {{- end }}
    {{- end }}
{{- end -}}

{{/* The config of a service, as its process reads it. Secrets are named by file and stand elsewhere. */}}
{{- define "assay.config" -}}
{{- $root := .root -}}
{{- $config := merge (fromJson (include "assay.config.caller" $root)) (dict
  "listen" "0.0.0.0:8443"
  "metrics_listen" "0.0.0.0:9090"
  "server_tls" (dict
    "certificate_file" "/etc/assay-tls/tls.crt"
    "key_file" "/etc/assay-tls/tls.key"
    "health_listen" "0.0.0.0:8080")
  "callers" (dict
    "issuer" "https://kubernetes.default.svc"
    "keys_url" "https://kubernetes.default.svc/openid/v1/jwks"
    "ca_file" "/var/run/assay/ca.crt"
    "platform" (printf "%s/%s" $root.Release.Namespace $root.Release.Name)
    "accounts" (fromJson (include "assay.accounts" $root))))
-}}
{{- if ne .component "controller" -}}
{{- $_ := set $config "store" (fromJson (include "assay.config.store" $root)) -}}
{{- end -}}
{{- toJson (merge (default dict .more) $config) -}}
{{- end -}}

{{/* How a process proves itself to our services, and knows them. */}}
{{- define "assay.config.caller" -}}
{{- toJson (dict
  "token_file" "/var/run/assay/token"
  "tls" (dict "ca_file" "/etc/assay-tls/ca.crt" "server_name" "assay"))
-}}
{{- end -}}

{{- define "assay.config.store" -}}
{{- $root := . -}}
{{- $store := dict
  "endpoint" (include "assay.store.endpoint" $root)
  "bucket" $root.Values.store.bucket
  "region" $root.Values.store.region
  "prefix" (include "assay.store.prefix" $root)
  "owner" (printf "%s/%s" $root.Release.Namespace $root.Release.Name)
  "secure" (eq (include "assay.store.secure" $root) "true")
  "credentials" "/etc/assay-store"
  "create_bucket" $root.Values.store.demo.enabled
-}}
{{- if $root.Values.store.caSecret -}}
{{- $_ := set $store "ca_file" "/etc/assay-store-ca/ca.crt" -}}
{{- end -}}
{{- toJson $store -}}
{{- end -}}

{{/* Which service account may speak in which role. */}}
{{- define "assay.accounts" -}}
{{- $accounts := dict -}}
{{- range $role := list "infer" "judge" "scorer" "controller" "cli" -}}
{{- $_ := set $accounts $role (printf "system:serviceaccount:%s:%s" $.Release.Namespace (include "assay.part" (list $ $role))) -}}
{{- end -}}
{{- toJson $accounts -}}
{{- end -}}

{{/* Why checkov's remaining findings stand. */}}
{{- define "assay.checkov" -}}
checkov.io/skip1: CKV_K8S_11=a CPU limit slows a service down while the node idles; memory is limited
checkov.io/skip2: CKV_K8S_15=images are named by tag or digest and never change under a name
checkov.io/skip3: CKV_K8S_43=images.<name>.digest is there for who pins them
{{- end -}}
