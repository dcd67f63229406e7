"""Translates a workload of the manifests to the settings of one container, as a kubelet runs it.

A field that is not translated is an error, so that no part of a manifest is silently left out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.kubernetes.manifests import RELOADER, Object, Workload, of_kind, workload
from tests.kubernetes.providing import Contents, of_volume

NAMESPACE = "butler"
# Fields of pods that one engine on one machine can not honour: they choose a machine, or an order of pods.
PLACING = {"affinity", "topologySpreadConstraints", "priorityClassName"}
OF_POD = PLACING | {
    *("automountServiceAccountToken", "containers", "enableServiceLinks", "initContainers", "restartPolicy"),
    *("securityContext", "serviceAccountName", "shareProcessNamespace", "terminationGracePeriodSeconds"),
    "volumes",
}
OF_CONTAINER = {
    *("args", "command", "env", "image", "lifecycle", "livenessProbe", "name", "ports", "readinessProbe"),
    *("resources", "restartPolicy", "securityContext", "startupProbe", "volumeMounts"),
}
OF_SECURITY = {
    *("allowPrivilegeEscalation", "capabilities", "fsGroup", "readOnlyRootFilesystem", "runAsGroup"),
    *("runAsNonRoot", "runAsUser", "seccompProfile"),
}
UNITS = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
GRACE_SECONDS = 30
REFERENCE = re.compile(r"\$\(([A-Z_]+)\)")
# Returns the token of a service account for an audience, None for that of the API server.
Issue = Callable[[str, str | None], bytes]


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume, which belongs to root and the group of the pod."""

    content: bytes = field(repr=False)
    mode: int


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume at a path: files by their paths in it, or nothing for the claim of a StatefulSet."""

    path: str
    read_only: bool
    files: Mapping[str, File]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a container; `ports` and `probes` by their names, sizes in bytes, times in seconds.

    `account` is the service account, `names` are those that other pods find it by. With `shared` a container
    beside it sees its processes.
    """

    pod: str
    image: str
    account: str
    entrypoint: list[str] | None
    arguments: list[str] | None
    environment: Mapping[str, str]
    user: str
    group: int
    read_only: bool
    dropped: list[str]
    escalates: bool
    memory: int | None
    ports: Mapping[str, int]
    names: list[str]
    volumes: list[Volume]
    temporary: Mapping[str, str]
    probes: Mapping[str, Object]
    before_stop: Object
    grace: int
    tries: int
    shared: bool


def no_token(account: str, audience: str | None) -> bytes:
    """Return a token that no server accepts."""
    return b"a token"


def translated(overlay: str, name: str, existing: Contents, issue: Issue = no_token) -> Settings:
    """Return the container of a workload's first pod; raises KeyError for a reference without an object."""
    return translated_pod(overlay, workload(overlay, name), existing, issue)


def reloader_of(overlay: str, name: str, existing: Contents) -> Settings:
    """Return the container beside that of a server, which no Service leads to."""
    pod = workload(overlay, name)
    assert pod.reloader
    spec = {**pod.spec, "containers": [pod.reloader], "initContainers": []}
    alone = replace(pod, template={"metadata": {"labels": {}}, "spec": spec})
    told = translated_pod(overlay, alone, existing, no_token)
    return replace(told, pod=f"{told.pod}-{RELOADER}", ports={})


def translated_pod(overlay: str, pod: Workload, existing: Contents, issue: Issue) -> Settings:
    """Return the container of a pod; raises KeyError for a reference without an object."""
    name = pod.name
    (made,) = (each for each in of_kind(overlay, pod.kind) if name_of(each) == name)
    container, secured = pod.container, security(pod)
    refuse_unknown(pod, container, secured)
    named = f"{name}-0" if pod.kind == "StatefulSet" else name
    variables = environment(container, existing, named)
    limits = container.get("resources", {}).get("limits", {})
    assert {*limits} <= {"memory"}, limits
    return Settings(
        pod=named,
        image=container["image"],
        account=pod.spec["serviceAccountName"],
        entrypoint=expanded(container.get("command"), variables),
        arguments=expanded(container.get("args"), variables),
        environment=variables,
        user=f"{secured['runAsUser']}:{secured['runAsGroup']}",
        group=secured["fsGroup"],
        read_only=secured.get("readOnlyRootFilesystem", False),
        dropped=secured.get("capabilities", {}).get("drop", []),
        escalates=secured.get("allowPrivilegeEscalation", True),
        memory=size(limits["memory"]) if limits else None,
        ports={each["name"]: each["containerPort"] for each in container.get("ports", ())},
        names=names_of(overlay, pod, made, named),
        volumes=mounted(pod, made, existing, issue),
        temporary=temporary(pod, secured),
        probes={each: container[each] for each in container if each.endswith("Probe")},
        before_stop=container.get("lifecycle", {}).get("preStop", {}),
        grace=pod.spec.get("terminationGracePeriodSeconds", GRACE_SECONDS),
        tries=made["spec"].get("backoffLimit", 0),
        shared=pod.spec.get("shareProcessNamespace", False),
    )


def name_of(made: Object) -> str:
    """Return the name of an object."""
    return str(made["metadata"]["name"])


def security(pod: Workload) -> Object:
    """Return the security context of the container, with what it takes from that of its pod."""
    return {**pod.spec.get("securityContext", {}), **pod.container.get("securityContext", {})}


def refuse_unknown(pod: Workload, container: Object, secured: Object) -> None:
    """Fail on a field that the translation would leave out."""
    assert {*pod.spec} <= OF_POD, {*pod.spec} - OF_POD
    assert {*container} <= OF_CONTAINER, {*container} - OF_CONTAINER
    assert {*secured} <= OF_SECURITY, {*secured} - OF_SECURITY
    # The engine's own profile is that of the container runtime.
    assert secured.get("seccompProfile", {}).get("type") == "RuntimeDefault"
    assert not pod.spec.get("automountServiceAccountToken", True)
    assert not secured.get("runAsNonRoot") or secured["runAsUser"] != 0


def environment(container: Object, existing: Contents, pod: str) -> dict[str, str]:
    """Return the variables, each with those before it filled in."""
    fields = {"metadata.name": pod, "metadata.namespace": NAMESPACE}
    found: dict[str, str] = {}
    for each in container.get("env", ()):
        if "value" in each:
            found[each["name"]] = filled(each["value"], found)
            continue
        ((kind, told),) = each["valueFrom"].items()
        found[each["name"]] = (
            fields[told["fieldPath"]] if kind == "fieldRef" else of_map(kind, told, existing).decode()
        )
    return found


def of_map(kind: str, told: Object, existing: Contents) -> bytes:
    """Return the value that a variable takes from a ConfigMap."""
    assert kind == "configMapKeyRef", f"a variable from {kind}"
    return existing["ConfigMap", told["name"]][told["key"]]


def expanded(words: list[str] | None, variables: Mapping[str, str]) -> list[str] | None:
    """Return words with their references to variables filled in; raises KeyError for an unknown variable."""
    return None if words is None else [filled(word, variables) for word in words]


def filled(word: str, variables: Mapping[str, str]) -> str:
    """Return a word with its references to variables filled in; raises KeyError for an unknown variable."""
    return REFERENCE.sub(lambda found: variables[found[1]], word)


def size(quantity: str) -> int:
    """Return the bytes of a quantity such as 512Mi."""
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def names_of(overlay: str, pod: Workload, made: Object, named: str) -> list[str]:
    """Return the names by which others reach the pod on the ports that they know.

    A Service with another port than the container's has none here: it is reached by its published port.
    """
    found = []
    ports = {each["name"]: each["containerPort"] for each in pod.container.get("ports", ())}
    for service in of_kind(overlay, "Service"):
        spec, name = service["spec"], name_of(service)
        if not spec["selector"].items() <= pod.labels.items():
            continue
        if all(each["port"] == ports[each["targetPort"]] for each in spec["ports"]):
            found += [name, f"{name}.{NAMESPACE}.svc"]
        if made["spec"].get("serviceName") == name:
            found += [f"{named}.{name}", f"{named}.{name}.{NAMESPACE}.svc"]
    return found


def mounted(pod: Workload, made: Object, existing: Contents, issue: Issue) -> list[Volume]:
    """Return the volumes of Secrets, ConfigMaps and tokens, and the claims."""
    volumes = {each["name"]: each for each in pod.spec.get("volumes", ())}
    claims = {name_of(each) for each in made["spec"].get("volumeClaimTemplates", ())}
    account = pod.spec["serviceAccountName"]
    found = []
    for mount in pod.container.get("volumeMounts", ()):
        assert {*mount} <= {"name", "mountPath", "readOnly"}, mount
        if mount["name"] in claims:
            found.append(Volume(mount["mountPath"], mount.get("readOnly", False), {}))
        elif "emptyDir" not in (volume := volumes[mount["name"]]):
            files = of_volume(volume, existing, lambda audience: issue(account, audience))
            modes = {path: File(content, mode_of(volume)) for path, content in files.items()}
            found.append(Volume(mount["mountPath"], read_only=True, files=modes))
    return found


def mode_of(volume: Object) -> int:
    """Return the mode of the files of a volume."""
    (told,) = (volume[kind] for kind in ("projected", "secret", "configMap") if kind in volume)
    return int(told.get("defaultMode", 0o644))


def temporary(pod: Workload, secured: Object) -> dict[str, str]:
    """Return the mount options of the empty folders by their paths; the engine keeps them in memory.

    The engine gives them the mode of the image's own folder, so the user owns them, not only its group.
    """
    folders = {each["name"]: each["emptyDir"] for each in pod.spec.get("volumes", ()) if "emptyDir" in each}
    owner = f"uid={secured['runAsUser']},gid={secured['fsGroup']}"
    return {
        mount["mountPath"]: f"rw,exec,mode=0777,{owner},size={size(folders[mount['name']]['sizeLimit'])}"
        for mount in pod.container.get("volumeMounts", ())
        if mount["name"] in folders
    }
