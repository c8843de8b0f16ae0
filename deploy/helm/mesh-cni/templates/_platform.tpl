{{/*
What each distribution needs apart from the defaults, and how a cluster shows that it is one: a part of the
API server's version, or an API that only it serves. `mesh-cni-agent --platform` has the same table; a test
compares them. `custom` is none of them: both directories are given.
*/}}
{{- define "mesh-cni.platforms" -}}
bottlerocket: {formOf: eks}
custom: {}
eks: {versionMark: "-eks-"}
gke: {versionMark: "-gke.", cniBinDirs: [/home/kubernetes/bin], resourceQuotas: true}
k3d: {formOf: k3s, cniBinDirs: [/var/lib/rancher/k3s/data/cni, /bin], cniConfDir: /var/lib/rancher/k3s/agent/etc/cni/net.d}
k3s: {versionMark: "+k3s", cniBinDirs: [/var/lib/rancher/k3s/data/cni, /var/lib/rancher/k3s/data/current/bin], cniConfDir: /var/lib/rancher/k3s/agent/etc/cni/net.d}
microk8s: {cniBinDirs: [/var/snap/microk8s/current/opt/cni/bin], cniConfDir: /var/snap/microk8s/current/args/cni-network}
minikube: {}
openshift: {apiVersion: config.openshift.io/v1, cniBinDirs: [/var/lib/cni/bin], cniConfDir: /etc/cni/multus/net.d, provider: multus, seLinuxOptions: {type: spc_t}}
rke2: {versionMark: "+rke2"}
talos: {}
{{- end }}

{{/* The platform that the cluster shows, or nothing. */}}
{{- define "mesh-cni.detectedPlatform" -}}
{{- $capabilities := .Capabilities -}}
{{- range $name, $platform := include "mesh-cni.platforms" . | fromYaml -}}
{{- $byVersion := and $platform.versionMark (contains $platform.versionMark $capabilities.KubeVersion.Version) -}}
{{- $byApi := and $platform.apiVersion ($capabilities.APIVersions.Has $platform.apiVersion) -}}
{{- if or $byVersion $byApi -}}
{{- $name -}}
{{- break -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The name of the platform whose defaults are used. */}}
{{- define "mesh-cni.platformName" -}}
{{- .Values.platform | default (.Values.global).platform | default (include "mesh-cni.detectedPlatform" .) -}}
{{- end }}

{{- define "mesh-cni.platform" -}}
{{- $name := include "mesh-cni.platformName" . -}}
{{- get (include "mesh-cni.platforms" . | fromYaml) $name | default dict | toJson -}}
{{- end }}

{{- define "mesh-cni.binDir" -}}
{{- $platform := include "mesh-cni.platform" . | fromJson -}}
{{- .Values.cniBinDir | default (first ($platform.cniBinDirs | default (list "/opt/cni/bin"))) -}}
{{- end }}

{{- define "mesh-cni.confDir" -}}
{{- $platform := include "mesh-cni.platform" . | fromJson -}}
{{- /* Multus reads the networks that pods request from a directory of its own. */ -}}
{{- $beside := and (eq (include "mesh-cni.provider" .) "multus") (eq (include "mesh-cni.mode" .) "stand-alone") -}}
{{- $default := ternary "/etc/cni/multus/net.d" "/etc/cni/net.d" $beside -}}
{{- .Values.cniConfDir | default $platform.cniConfDir | default $default -}}
{{- end }}

{{/* Why platform and directories contradict each other, as a JSON list of sentences. */}}
{{- define "mesh-cni.platformRefusals" -}}
{{- $refused := list -}}
{{- $all := include "mesh-cni.platforms" . | fromYaml -}}
{{- $name := include "mesh-cni.platformName" . -}}
{{- $detected := include "mesh-cni.detectedPlatform" . -}}
{{- $platform := get $all $name | default dict -}}
{{- $custom := "if the runtime of your nodes uses other directories, set platform=custom, cniBinDir and cniConfDir" -}}
{{- if eq $name "custom" -}}
{{- if not (and .Values.cniBinDir .Values.cniConfDir) -}}
{{- $refused = append $refused "platform is `custom`, which has no default directories: set cniBinDir and cniConfDir" -}}
{{- end -}}
{{- else if and $detected (not (has $detected (list $name $platform.formOf))) -}}
{{- $refused = append $refused (printf "platform is `%s`, but the cluster (Kubernetes %s) is `%s`: remove platform; %s" $name .Capabilities.KubeVersion.Version $detected $custom) -}}
{{- else if $name -}}
{{- $binDirs := $platform.cniBinDirs | default (list "/opt/cni/bin") -}}
{{- if and .Values.cniBinDir (not (has (trimSuffix "/" .Values.cniBinDir) $binDirs)) -}}
{{- $refused = append $refused (printf "cniBinDir is `%s`, but the runtime of platform `%s` searches plugins in %s: remove cniBinDir; %s" .Values.cniBinDir $name (join " or " $binDirs) $custom) -}}
{{- end -}}
{{- $confDir := $platform.cniConfDir | default "/etc/cni/net.d" -}}
{{- if and .Values.cniConfDir (ne (include "mesh-cni.provider" .) "multus") (ne (trimSuffix "/" .Values.cniConfDir) $confDir) -}}
{{- $refused = append $refused (printf "cniConfDir is `%s`, but the runtime of platform `%s` reads %s: remove cniConfDir; %s" .Values.cniConfDir $name $confDir $custom) -}}
{{- end -}}
{{- end -}}
{{- toJson $refused -}}
{{- end }}
