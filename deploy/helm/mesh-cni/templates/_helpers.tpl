{{- define "mesh-cni.provider" -}}
{{- $platform := include "mesh-cni.platform" . | fromJson -}}
{{- if eq .Values.provider "multus" -}}multus{{- else -}}{{- $platform.provider | default "default" -}}{{- end -}}
{{- end }}

{{- define "mesh-cni.mode" -}}
{{- if .Values.mode -}}
{{- .Values.mode -}}
{{- else if .Values.istioOwnedCNIConfig -}}
owned-first
{{- else if kindIs "bool" .Values.chained -}}
{{- ternary "chained" "stand-alone" .Values.chained -}}
{{- else -}}
{{- ternary "stand-alone" "chained" (eq (include "mesh-cni.provider" .) "multus") -}}
{{- end -}}
{{- end }}

{{/*
The action for a broken pod: repair, delete, or empty. labelPods is independent of it.
*/}}
{{- define "mesh-cni.repair" -}}
{{- with .Values.repair -}}
{{- if and .enabled (not (or .repairPods .deletePods .labelPods)) -}}
{{- fail "repair.enabled is true, but there is no action: set one of repair.repairPods, repair.deletePods and repair.labelPods, or repair.enabled=false" -}}
{{- end -}}
{{- if .enabled -}}
{{- ternary "repair" (ternary "delete" "" .deletePods) .repairPods -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
The profiles as a JSON list. `ambient.enabled` adds the one of ambient mode.
*/}}
{{- define "mesh-cni.profiles" -}}
{{- $profiles := kindIs "slice" .Values.profile | ternary .Values.profile (list .Values.profile) -}}
{{- if and .Values.ambient.enabled (not (has "ambient" $profiles)) -}}
{{- $profiles = append $profiles "ambient" -}}
{{- end -}}
{{- toJson $profiles -}}
{{- end }}

{{/* Whether the agent serves pods in ambient mode: yes or nothing. */}}
{{- define "mesh-cni.ambient" -}}
{{- ternary "yes" "" (and (not .Values.uninstall.enabled) (has "ambient" (include "mesh-cni.profiles" . | fromJsonArray))) -}}
{{- end }}

{{/*
The resources that the agent has a right to change, in the whole cluster: pods, status (of pods), nodes.
*/}}
{{- define "mesh-cni.changes" -}}
{{- if not .Values.uninstall.enabled -}}
{{- if or (eq (include "mesh-cni.repair" .) "delete") (and .Values.repair.enabled .Values.repair.labelPods) }} pods {{ end -}}
{{- if include "mesh-cni.ambient" . }} status {{ end -}}
{{- if .Values.taint }} nodes {{ end -}}
{{- end -}}
{{- end }}

{{/*
Those that a policy limits to the agent's own node. Kubernetes serves ValidatingAdmissionPolicy v1 from
1.30 on. The version is compared because `helm template` knows the API groups of a cluster, not their
kinds.
*/}}
{{- define "mesh-cni.limited" -}}
{{- if and .Values.admissionPolicy.enabled (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) -}}
{{- include "mesh-cni.changes" . -}}
{{- end -}}
{{- end }}

{{- define "mesh-cni.resourceQuotas" -}}
{{- $platform := include "mesh-cni.platform" . | fromJson -}}
{{- if kindIs "bool" .Values.resourceQuotas.enabled -}}
{{- ternary "yes" "" .Values.resourceQuotas.enabled -}}
{{- else -}}
{{- ternary "yes" "" (and ($platform.resourceQuotas | default false) (ne .Release.Namespace "kube-system")) -}}
{{- end -}}
{{- end }}

{{- define "mesh-cni.hub" -}}
{{- .Values.hub | default (.Values.global).hub | default "localhost" -}}
{{- end }}

{{- define "mesh-cni.image" -}}
{{- $hub := include "mesh-cni.hub" . -}}
{{- $tag := .Values.tag | default (.Values.global).tag | default .Chart.AppVersion -}}
{{- $complete := contains "/" .Values.image -}}
{{- $name := ternary .Values.image (printf "%s/%s" $hub .Values.image) $complete -}}
{{- if and .Values.digest (contains "@" $name) -}}
{{- fail (printf "digest is set, and image `%s` contains a digest too: set one of them" $name) -}}
{{- end -}}
{{- if .Values.digest -}}
{{- printf "%s@%s" $name .Values.digest -}}
{{- else -}}
{{- ternary $name (printf "%s:%s" $name (toString $tag)) $complete -}}
{{- end -}}
{{- end }}

{{- define "mesh-cni.pullPolicy" -}}
{{- .Values.pullPolicy | default (.Values.global).imagePullPolicy | default "IfNotPresent" -}}
{{- end }}

{{/* Istio's global list contains names, ours contains references. */}}
{{- define "mesh-cni.imagePullSecrets" -}}
{{- $secrets := list -}}
{{- range .Values.imagePullSecrets | default (.Values.global).imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with $secrets }}{{ toYaml . }}{{ end -}}
{{- end }}

{{- define "mesh-cni.logLevel" -}}
{{- .Values.logging.level | default ((.Values.global).logging).level | default "info" -}}
{{- end }}

{{- define "mesh-cni.resources" -}}
{{- .Values.resources | default (.Values.global).defaultResources | toYaml -}}
{{- end }}

{{/* The port of /metrics, or nothing if other machines cannot read it. */}}
{{- define "mesh-cni.metricsPort" -}}
{{- $isLocal := regexMatch "^(off$|127\\.|\\[::1\\])" .Values.metricsAddress -}}
{{- if not (or $isLocal .Values.uninstall.enabled) -}}
{{- regexFind "[0-9]+$" .Values.metricsAddress -}}
{{- end -}}
{{- end }}

{{- define "mesh-cni.podAnnotations" -}}
{{- $annotations := dict -}}
{{- with include "mesh-cni.metricsPort" . -}}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" . "prometheus.io/path" "/metrics" -}}
{{- end -}}
{{- if .Values.useAppArmorAnnotation -}}
{{- range ternary (list "agent" "uninstall") (list "agent") .Values.uninstall.enabled -}}
{{- $_ := set $annotations (printf "container.apparmor.security.beta.kubernetes.io/%s" .) "unconfined" -}}
{{- end -}}
{{- end -}}
{{- with mergeOverwrite $annotations .Values.podAnnotations }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- define "mesh-cni.selectorLabels" -}}
app.kubernetes.io/name: mesh-cni
app.kubernetes.io/component: agent
{{- end }}

{{- define "mesh-cni.labels" -}}
app.kubernetes.io/name: mesh-cni
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: mesh-cni
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/*
The plugin's entry in the network configuration list: values that differ from the plugin's defaults,
and values that the plugin must have.
*/}}
{{- define "mesh-cni.entry" -}}
{{- $entry := dict "exclude_namespaces" .Values.excludeNamespaces "pod_namespace" .Release.Namespace -}}
{{- $_ := set $entry "cni_agent_run_dir" .Values.cniAgentRunDir -}}
{{- $_ := set $entry "plugin_log_level" (include "mesh-cni.logLevel" .) -}}
{{- $profiles := include "mesh-cni.profiles" . | fromJsonArray -}}
{{- $_ := set $entry "profile" (ternary (first $profiles) $profiles (eq (len $profiles) 1)) -}}
{{- $_ := set $entry "backend" .Values.backend -}}
{{- $_ := set $entry "pod_source" .Values.podSource -}}
{{- with .Values.includeNamespaces }}{{ $_ := set $entry "include_namespaces" . }}{{ end -}}
{{- with .Values.excludeNamespaceSelector }}{{ $_ := set $entry "exclude_namespace_selector" . }}{{ end -}}
{{- with .Values.selection }}{{ $_ := set $entry "selection" . }}{{ end -}}
{{- with .Values.ruleset }}{{ $_ := set $entry "ruleset" . }}{{ end -}}
{{- if ne .Values.ipv6 "as-mesh" }}{{ $_ := set $entry "ipv6" .Values.ipv6 }}{{ end -}}
{{- with .Values.defaults }}{{ $_ := set $entry "defaults" . }}{{ end -}}
{{- with .Values.linkerd }}{{ $_ := set $entry "linkerd" . }}{{ end -}}
{{- with .Values.kubeApiPorts }}{{ $_ := set $entry "kube_api_ports" . }}{{ end -}}
{{- with .Values.clusterDns }}{{ $_ := set $entry "cluster_dns" . }}{{ end -}}
{{- if has "ambient" $profiles -}}
{{- with .Values.ambient -}}
{{- $ambient := dict "dns_capture" .dnsCapture "ipv6" .ipv6 "system_namespace" .systemNamespace -}}
{{- $_ := set $ambient "earlier_connections" .earlierConnections -}}
{{- $_ := set $ambient "host_probe_snat_ip" .hostProbeSnatIP -}}
{{- $_ := set $ambient "host_probe_snat_ipv6" .hostProbeSnatIPv6 -}}
{{- with .enablementSelectors }}{{ $_ := set $ambient "enablement_selectors" . }}{{ end -}}
{{- $_ := set $entry "ambient" $ambient -}}
{{- end -}}
{{- end -}}
{{- $entry | toPrettyJson -}}
{{- end }}

{{- define "mesh-cni.nodeMounts" -}}
- name: cni-bin
  mountPath: /host/cni-bin
- name: cni-conf
  mountPath: /host/cni-conf
- name: run
  mountPath: {{ .Values.cniAgentRunDir }}
{{- end }}

{{/* The command of a probe: a list of the state and the run directory. */}}
{{- define "mesh-cni.probe" -}}
[/bin/mesh-cni-agent, status, --probe={{ index . 0 }}, --run-dir={{ index . 1 }}]
{{- end }}
