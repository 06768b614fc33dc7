"""The Kubernetes files against the API's own schemas, and what no schema can see: names that must fit each other."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import shipped

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")

RESOURCES = shipped.resources()
#: The oldest version that the files are for, and the newest that the schemas know.
VERSIONS = ("1.31", kubernetes_validate.latest_version())
each = pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: f"{r['kind']} {r['metadata']['name']}")


@pytest.mark.parametrize("version", VERSIONS)
@each
def test_schema(resource: dict[str, Any], version: str) -> None:
    """Every resource is valid by the strict schema, which allows no unknown field."""
    kubernetes_validate.validate(resource, version, strict=True)


@each
def test_a_misspelt_field_would_be_found(resource: dict[str, Any]) -> None:
    """The test above sees a field that does not exist."""
    wrong = copy.deepcopy(resource)
    wrong["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def containers(resource: dict[str, Any]) -> list[dict[str, Any]]:
    pod = (shipped.pod_of(resource) or {}).get("spec", {})
    return [*pod.get("initContainers", ()), *pod.get("containers", ())]


@each
def test_pods(resource: dict[str, Any]) -> None:
    """Pods run as the image's user without privileges, with requests and a limit of memory, and mount volumes that exist."""
    template = shipped.pod_of(resource)
    if template is None:
        return
    claims = {item["metadata"]["name"] for item in RESOURCES if item["kind"] == "PersistentVolumeClaim"}
    pod = template["spec"]
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 1000
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    used = [volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "secret" not in volume]
    assert set(used) <= claims
    for container in containers(resource):
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes.keys()
    if "rotation-warehouse" in used:
        term = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
        assert term["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_secrets_are_files_that_the_command_makes() -> None:
    """Each secret file that a variable names is a key of the secret that the first comment creates, in the folder where it is mounted."""
    text = shipped.KUBERNETES[0].read_text(encoding="utf-8")
    (command,) = re.findall(r"kubectl create secret generic rotation (.+)", text)
    keys = set(re.findall(r"--from-literal=(\w+)=", command))
    named = [
        (entry["value"], {m["mountPath"] for m in container["volumeMounts"] if m["name"] == "secrets"})
        for resource in RESOURCES
        for container in containers(resource)
        for entry in container.get("env", ())
        if entry["name"].endswith("_FILE")
    ]
    assert {path for path, _ in named} == {f"/run/secrets/rotation/{key}" for key in keys}
    assert all(mounts == {"/run/secrets/rotation"} for _, mounts in named)


def test_services_and_probes_reach_their_pods() -> None:
    """The service and the policy select the server's pods, each Deployment its own, ports are declared, and the worker names the service."""
    pods = {item["metadata"]["name"]: shipped.pod_of(item) for item in RESOURCES if item["kind"] == "Deployment"}
    for item in RESOURCES:
        name, spec = item["metadata"]["name"], item["spec"]
        if item["kind"] == "Deployment":
            assert spec["selector"]["matchLabels"].items() <= pods[name]["metadata"]["labels"].items()
            ports = {port["name"] for port in containers(item)[-1]["ports"]}
            probes = [probe for key, probe in containers(item)[-1].items() if key.endswith("Probe")]
            assert probes
            assert {probe["httpGet"]["port"] for probe in probes} <= ports
        if item["kind"] in ("Service", "NetworkPolicy"):
            selector = spec["selector"] if item["kind"] == "Service" else spec["podSelector"]["matchLabels"]
            assert selector.items() <= pods["market-rotation-prefect"]["metadata"]["labels"].items()
    (service,) = (item for item in RESOURCES if item["kind"] == "Service")
    assert service["spec"]["ports"][0]["targetPort"] == containers_of("market-rotation-prefect")[0]["ports"][0]["name"]
    addresses = {
        entry["value"]
        for container in containers_of("market-rotation-worker")
        for entry in container["env"]
        if entry["name"] == "PREFECT_API_URL"
    }
    assert addresses == {f"http://{service['metadata']['name']}:4200/api"}


def containers_of(name: str) -> list[dict[str, Any]]:
    (found,) = (r for r in RESOURCES if r["metadata"]["name"] == name and r["kind"] == "Deployment")
    return containers(found)


def test_no_variable_of_a_service_looks_like_a_setting() -> None:
    """Kubernetes sets variables named after each service in all pods: none may begin with ROTATION_."""
    names = [item["metadata"]["name"] for item in RESOURCES if item["kind"] == "Service"]
    assert names
    assert not any(name.startswith("rotation") for name in names)
