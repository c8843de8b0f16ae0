{{/*
Values of Istio CNI's chart that have no effect here, the settings that change nothing, and what to do instead of
others. docs/istio-cni-values.md lists every value; a test compares the list with Istio's chart.
*/}}
{{- define "mesh-cni.istioOnly" -}}
- {name: _internal_defaults_do_not_set, neutral: [], remedy: move the values below it one level up}
- {name: cni, neutral: [], remedy: move the values below it one level up}
- {name: variant, neutral: [""], remedy: "remove it, because the image has no variants"}
- {name: global.variant, neutral: [""], remedy: "remove it, because the image has no variants"}
- {name: logLevel, neutral: [], remedy: "set logging.level"}
- {name: cniNetnsDir, neutral: ["", /var/run/netns], remedy: "remove it, because the plugin passes open namespaces to the agent"}
- {name: privileged, neutral: ["false"], remedy: "remove it, and set extraCapabilities or seLinuxOptions if the node requires them"}
- {name: psp_cluster_role, neutral: [""], remedy: "remove it, because Kubernetes has no PodSecurityPolicies since 1.25, and give the namespace the Pod Security level privileged"}
- {name: ambient.configDir, neutral: [""], remedy: "remove it, because the entry in the network configuration list has all settings"}
- {name: ambient.redirectMode, neutral: ["", iptables], remedy: "remove it, and set backend"}
- {name: ambient.reconcileIptablesOnStartup, neutral: ["true"], remedy: "remove it, because the agent compares the rules of enrolled pods when it starts and every 30 seconds"}
- {name: repair.hub, neutral: [""], remedy: "set hub, because the agent repairs pods"}
- {name: repair.tag, neutral: [""], remedy: "set tag, because the agent repairs pods"}
- {name: rollingMaxUnavailable, neutral: [], remedy: "set updateStrategy.rollingUpdate.maxUnavailable"}
- {name: revision, neutral: ["", default], remedy: "remove it, because one DaemonSet serves all revisions of the control plane; for a label, set daemonSetLabels"}
- {name: ownerName, neutral: [""], remedy: "remove it; for a label, set daemonSetLabels"}
- {name: compatibilityVersion, neutral: [""], remedy: "remove it, and set selection and ruleset"}
- {name: global.resourceScope, neutral: ["", all], remedy: "set `all`, because the chart's objects belong together"}
{{- end }}

{{- define "mesh-cni.isIstioHub" -}}
{{- regexMatch "^(registry\\.istio\\.io|gcr\\.io/istio-(release|testing)|((docker\\.io|ghcr\\.io|quay\\.io)/)?istio|gcr\\.io/gke-release/asm)(/|$)" . | ternary "yes" "" -}}
{{- end }}

{{/* Why the image is not that of mesh-cni, as a JSON list of sentences. */}}
{{- define "mesh-cni.imageRefusals" -}}
{{- $refused := list -}}
{{- $global := .Values.global | default dict -}}
{{- $complete := contains "/" .Values.image -}}
{{- $hub := include "mesh-cni.hub" . -}}
{{- if or (regexMatch "(^|/)install-cni([-:@]|$)" .Values.image) (and $complete (include "mesh-cni.isIstioHub" .Values.image)) -}}
{{- $refused = append $refused (printf "image is `%s`, which is an image of Istio: remove it, or name the image of mesh-cni" .Values.image) -}}
{{- else if $complete -}}
{{- else if include "mesh-cni.isIstioHub" $hub -}}
{{- $refused = append $refused (printf "%s is `%s`, which contains images of Istio, not mesh-cni: set hub to the registry of mesh-cni" (ternary "hub" "global.hub" (not (empty .Values.hub))) $hub) -}}
{{- else if and (not .Values.tag) (not .Values.digest) $global.tag (include "mesh-cni.isIstioHub" ($global.hub | default "")) -}}
{{- $refused = append $refused (printf "global.tag is `%v`, which is a version of the images in global.hub: set tag" $global.tag) -}}
{{- end -}}
{{- toJson $refused -}}
{{- end }}

{{/* What contradicts ambient mode, as a JSON list of sentences. */}}
{{- define "mesh-cni.ambientRefusals" -}}
{{- $refused := list -}}
{{- $isOn := has "ambient" (include "mesh-cni.profiles" . | fromJsonArray) -}}
{{- if and $isOn (kindIs "bool" .Values.ambient.enabled) (not .Values.ambient.enabled) -}}
{{- $refused = append $refused "ambient.enabled is `false`, but profile contains ambient: remove one of them" -}}
{{- end -}}
{{- if and $isOn (not .Values.hostNetwork) -}}
{{- $refused = append $refused "hostNetwork is `false`, but in ambient mode the agent writes rules for probes on the node's network: set hostNetwork=true" -}}
{{- end -}}
{{- if and $isOn (kindIs "slice" .Values.ambient.enablementSelectors) (not .Values.ambient.enablementSelectors) -}}
{{- $refused = append $refused "ambient.enablementSelectors is empty, so no pod would be in ambient mode: remove it for the selectors of Istio, or remove ambient from profile and ambient.enabled" -}}
{{- end -}}
{{- range $name, $instead := include "mesh-cni.ambientVariables" . | fromYaml -}}
{{- if hasKey ($.Values.env | default dict) $name -}}
{{- $refused = append $refused (printf "env.%s is a setting of ambient mode: %s" $name $instead) -}}
{{- end -}}
{{- end -}}
{{- toJson $refused -}}
{{- end }}

{{/*
Variables of the agent of Istio CNI, or of this one, for ambient mode, and what to do instead: the plugin's entry and the agent's
flags come from the same values.
*/}}
{{- define "mesh-cni.ambientVariables" -}}
AMBIENT_ENABLED: set ambient.enabled
AMBIENT_ENABLEMENT_SELECTOR: set ambient.enablementSelectors
AMBIENT_DNS_CAPTURE: set ambient.dnsCapture
AMBIENT_IPV6: set ambient.ipv6
AMBIENT_RECONCILE_POD_RULES_ON_STARTUP: remove it, because the agent compares the rules of enrolled pods when it starts and every 30 seconds
AMBIENT_DISABLE_SAFE_UPGRADE: remove it, because an agent that stops changes nothing on the node
ENABLE_AMBIENT_DETECTION_RETRY: remove it, because an ADD without the facts of its pod fails and the kubelet tries again
NATIVE_NFTABLES: set backend
FORCE_IPTABLES_BINARY: set backend
EXCLUDE_NAMESPACES: set excludeNamespaces
HOST_PROBE_SNAT_IP: set ambient.hostProbeSnatIP
HOST_PROBE_SNAT_IPV6: set ambient.hostProbeSnatIPv6
SYSTEM_NAMESPACE: set ambient.systemNamespace
ZTUNNEL_UDS_ADDRESS: remove it, because the chart mounts /var/run/ztunnel, as ztunnel's chart does
{{- end }}

{{/* Fails with every value that does not fit. */}}
{{- define "mesh-cni.refuse" -}}
{{- $values := .Values -}}
{{- $refused := concat (include "mesh-cni.platformRefusals" . | fromJsonArray) (include "mesh-cni.imageRefusals" . | fromJsonArray) -}}
{{- range include "mesh-cni.istioOnly" . | fromYamlArray -}}
{{- $value := $values -}}
{{- range splitList "." .name -}}
{{- $value = ternary (get ($value | default dict) .) nil (kindIs "map" ($value | default dict)) -}}
{{- end -}}
{{- $unset := or (kindIs "invalid" $value) (and (kindIs "string" $value) (eq $value "")) -}}
{{- if not (or $unset (has (toString $value) .neutral)) -}}
{{- $shown := ternary "a list of values" (printf "`%s`" (toString $value)) (kindIs "map" $value) -}}
{{- $refused = append $refused (printf "%s is %s, a setting of Istio CNI: %s" .name $shown .remedy) -}}
{{- end -}}
{{- end -}}
{{- $profiles := include "mesh-cni.profiles" . | fromJsonArray -}}
{{- range $profiles -}}
{{- if not (has . (list "asm" "istio" "linkerd" "kuma" "ambient")) -}}
{{- $refused = append $refused (printf "profile is `%s`, but here it is asm, istio, linkerd, kuma, ambient or a list of them, the meshes to serve: set them; instead of a profile of Istio's chart for a platform, set platform" .) -}}
{{- end -}}
{{- end -}}
{{- if and (has "asm" $profiles) (has "istio" $profiles) -}}
{{- $refused = append $refused "profile contains asm and istio, which are for the same pods: set one of them" -}}
{{- end -}}
{{- $refused = concat $refused (include "mesh-cni.ambientRefusals" . | fromJsonArray) -}}
{{- $level := include "mesh-cni.logLevel" . -}}
{{- if not (has $level (list "debug" "info" "warn" "error")) -}}
{{- $refused = append $refused (printf "%s is `%s`, which is not one of debug, info, warn, error: set logging.level to one of them" (ternary "logging.level" "global.logging.level" (not (empty .Values.logging.level))) $level) -}}
{{- end -}}
{{- if and (.Values.global).nativeNftables (ne .Values.backend "nft-native") -}}
{{- $refused = append $refused "global.nativeNftables is `true`: set backend=nft-native too" -}}
{{- end -}}
{{- if and .Values.useAppArmorAnnotation .Values.appArmorProfile -}}
{{- $refused = append $refused "useAppArmorAnnotation is `true`, and appArmorProfile is set too: set one of them" -}}
{{- end -}}
{{- if $refused -}}
{{- fail (printf "values that do not fit:\n  - %s\n" (join "\n  - " $refused)) -}}
{{- end -}}
{{- end }}
