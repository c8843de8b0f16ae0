//! The fields of a Pod that are decoded: those that `PodFacts` and `Pod` are read from.

use crate::decode::Keep;

/// A `v1` Pod.
pub(crate) const POD: Keep = Keep::Fields(&[
    ("metadata", &METADATA),
    ("spec", &SPEC),
    ("status", &STATUS),
]);

const METADATA: Keep = Keep::Fields(&[
    ("namespace", &Keep::All),
    ("name", &Keep::All),
    ("uid", &Keep::All),
    ("resourceVersion", &Keep::All),
    ("deletionTimestamp", &Keep::All),
    ("labels", &Keep::All),
    ("annotations", &Keep::All),
    ("ownerReferences", &Keep::All),
]);

const SPEC: Keep = Keep::Fields(&[
    ("nodeName", &Keep::All),
    ("hostNetwork", &Keep::All),
    ("hostUsers", &Keep::All),
    ("dnsPolicy", &Keep::All),
    ("dnsConfig", &Keep::Fields(&[("nameservers", &Keep::All)])),
    ("serviceAccountName", &Keep::All),
    ("securityContext", &USERS),
    ("containers", &Keep::Items(&CONTAINER)),
    ("initContainers", &Keep::Items(&CONTAINER)),
]);

const USERS: Keep = Keep::Fields(&[("runAsUser", &Keep::All), ("runAsGroup", &Keep::All)]);

const CONTAINER: Keep = Keep::Fields(&[
    ("name", &Keep::All),
    ("args", &Keep::All),
    ("env", &Keep::Items(&VARIABLE)),
    ("securityContext", &USERS),
    ("restartPolicy", &Keep::All),
]);

const VARIABLE: Keep = Keep::Fields(&[
    ("name", &Keep::All),
    ("value", &Keep::All),
    ("valueFrom", &Keep::Fields(&[])),
]);

const STATUS: Keep = Keep::Fields(&[
    ("phase", &Keep::All),
    ("podIP", &Keep::All),
    ("podIPs", &Keep::All),
    ("initContainerStatuses", &Keep::Items(&CONTAINER_STATUS)),
    ("containerStatuses", &Keep::Items(&CONTAINER_STATUS)),
]);

const CONTAINER_STATUS: Keep = Keep::Fields(&[
    ("name", &Keep::All),
    ("containerID", &Keep::All),
    ("restartCount", &Keep::All),
    ("state", &Keep::All),
    ("lastState", &Keep::All),
]);
