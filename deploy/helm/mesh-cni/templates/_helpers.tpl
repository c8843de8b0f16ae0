{{/*
What each distribution needs apart from the defaults. `mesh-cni-agent --platform` has the same table; a
test compares them.
*/}}
{{- define "mesh-cni.platforms" -}}
bottlerocket: {}
gke: {cniBinDir: /home/kubernetes/bin, resourceQuotas: true}
k3d: {cniBinDir: /var/lib/rancher/k3s/data/cni, cniConfDir: /var/lib/rancher/k3s/agent/etc/cni/net.d}
k3s: {cniBinDir: /var/lib/rancher/k3s/data/cni, cniConfDir: /var/lib/rancher/k3s/agent/etc/cni/net.d}
microk8s: {cniBinDir: /var/snap/microk8s/current/opt/cni/bin, cniConfDir: /var/snap/microk8s/current/args/cni-network}
minikube: {}
openshift: {cniBinDir: /var/lib/cni/bin, cniConfDir: /etc/cni/multus/net.d, provider: multus, seLinuxOptions: {type: spc_t}}
rke2: {}
talos: {}
{{- end }}

{{- define "mesh-cni.platform" -}}
{{- $name := .Values.platform | default (.Values.global).platform -}}
{{- $all := include "mesh-cni.platforms" . | fromYaml -}}
{{- if $name -}}
{{- if not (hasKey $all $name) -}}
{{- fail (printf "unknown platform `%s`, expected one of %s: remove it, and set cniBinDir and cniConfDir" $name (keys $all | sortAlpha | join ", ")) -}}
{{- end -}}
{{- get $all $name | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end }}

{{- define "mesh-cni.binDir" -}}
{{- $platform := include "mesh-cni.platform" . | fromJson -}}
{{- .Values.cniBinDir | default $platform.cniBinDir | default "/opt/cni/bin" -}}
{{- end }}

{{- define "mesh-cni.confDir" -}}
{{- $platform := include "mesh-cni.platform" . | fromJson -}}
{{- /* Multus reads the networks that pods request from a directory of its own. */ -}}
{{- $beside := and (eq (include "mesh-cni.provider" .) "multus") (eq (include "mesh-cni.mode" .) "stand-alone") -}}
{{- $default := ternary "/etc/cni/multus/net.d" "/etc/cni/net.d" $beside -}}
{{- .Values.cniConfDir | default $platform.cniConfDir | default $default -}}
{{- end }}

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
The resources that the agent has a right to change, in the whole cluster: pods, nodes.
*/}}
{{- define "mesh-cni.changes" -}}
{{- if not .Values.uninstall.enabled -}}
{{- if or (eq (include "mesh-cni.repair" .) "delete") (and .Values.repair.enabled .Values.repair.labelPods) }} pods {{ end -}}
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
{{- ternary "yes" "" ($platform.resourceQuotas | default false) -}}
{{- end -}}
{{- end }}

{{- define "mesh-cni.image" -}}
{{- $hub := .Values.hub | default "localhost" -}}
{{- $tag := .Values.tag | default (.Values.global).tag | default .Chart.AppVersion -}}
{{- if and (eq $hub "localhost") (.Values.global).hub -}}
{{- $hub = .Values.global.hub -}}
{{- end -}}
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
{{- $_ := set $entry "plugin_log_level" .Values.logging.level -}}
{{- $_ := set $entry "profile" .Values.profile -}}
{{- $_ := set $entry "backend" .Values.backend -}}
{{- $_ := set $entry "pod_source" .Values.podSource -}}
{{- with .Values.includeNamespaces }}{{ $_ := set $entry "include_namespaces" . }}{{ end -}}
{{- with .Values.excludeNamespaceSelector }}{{ $_ := set $entry "exclude_namespace_selector" . }}{{ end -}}
{{- with .Values.selection }}{{ $_ := set $entry "selection" . }}{{ end -}}
{{- with .Values.ruleset }}{{ $_ := set $entry "ruleset" . }}{{ end -}}
{{- if ne .Values.ipv6 "as-mesh" }}{{ $_ := set $entry "ipv6" .Values.ipv6 }}{{ end -}}
{{- with .Values.defaults }}{{ $_ := set $entry "defaults" . }}{{ end -}}
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
