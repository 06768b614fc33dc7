"""What the deployment files start: every command line with its environment, and every schedule, whatever the format of the file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from world import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
COMPOSE = REPOSITORY / "compose.yaml"
KUBERNETES = (DEPLOY / "kubernetes.yaml", DEPLOY / "kubernetes-prefect.yaml")
UNITS = tuple(sorted((*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer"))))


class Start(NamedTuple):
    """One command line: the file and the part of it, its words beginning with `rotation` or `prefect`, and the variables set there."""

    where: str
    words: tuple[str, ...]
    variables: dict[str, str]


def starts() -> list[Start]:
    """All of them. A command that a shell runs is found inside the shell's words."""
    return [*_of_units(), *_of_kubernetes(), *_of_compose()]


def unit(path: Path) -> dict[str, list[tuple[str, str]]]:
    """The sections of a unit file, each with its entries in order; a name may occur more than once."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            entries = sections.setdefault(match[1], [])
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            entries.append((name, value))
    return sections


def resources() -> list[dict[str, Any]]:
    """The Kubernetes resources of both files."""
    return [item for path in KUBERNETES for item in yaml.safe_load(path.read_text(encoding="utf-8"))["items"]]


def pod_of(resource: dict[str, Any]) -> dict[str, Any] | None:
    """The template of the pods that a Deployment or CronJob makes; None for another kind."""
    spec: dict[str, Any] = resource["spec"]
    if resource["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec.get("template")


def services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return found


def _of_units() -> Iterator[Start]:
    for path in UNITS:
        entries = unit(path).get("Service", [])
        variables = dict(
            pair.split("=", 1) for name, value in entries if name == "Environment" for pair in value.split()
        )
        for name, value in entries:
            if name.startswith("Exec"):
                program, *rest = shlex.split(value)
                yield Start(f"{path.name} {name}", (Path(program).name, *rest), variables)


def _of_kubernetes() -> Iterator[Start]:
    for resource in resources():
        pod = (pod_of(resource) or {}).get("spec", {})
        for container in (*pod.get("initContainers", ()), *pod.get("containers", ())):
            variables = {entry["name"]: entry["value"] for entry in container.get("env", ())}
            words = tuple(container.get("command") or ["rotation"]) + tuple(container.get("args", ()))
            yield Start(f"{resource['metadata']['name']} {container['name']}", words, variables)


def _of_compose() -> Iterator[Start]:
    for name, service in services().items():
        if "build" not in service:
            continue
        words = tuple(service.get("entrypoint") or ["rotation"]) + tuple(service.get("command", ()))
        if words[:2] == ("sh", "-c"):
            words = tuple(re.findall(r"(?<=do )[^;]+", words[2])[0].split())
        yield Start(f"compose {name}", words, service.get("environment", {}))
