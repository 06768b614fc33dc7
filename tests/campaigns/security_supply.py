"""What the project is made of: hashes and licences of all locked packages, known vulnerabilities, the bill of materials."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from campaigns.part import Part

REPOSITORY = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
#: Licences under which a package may be used by a project under MIT: the user installs it from its own publisher.
COMPATIBLE = re.compile(
    r"\b(MIT|MIT-0|BSD|0BSD|Apache|Apache-2\.0|ISC|ISCL|Python Software Foundation|PSF(-2\.0)?|CNRI-Python|Zlib|CC0-1\.0|Unlicense|"
    r"Mozilla Public License|MPL(-2\.0)?|HPND|Artistic License|Public Domain|BlueOak-1\.0\.0)\b",
    re.IGNORECASE,
)
STRONG = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
#: What the metadata of these does not say, or says of a package that is not for this platform; read in its source, November 2026.
KNOWN = {
    "peewee": "MIT",
    "async-timeout": "Apache-2.0",
    "pywin32": "PSF-2.0",
    "whenever": "MIT",
    # "Artistic License; GPL": either, at the user's choice.
    "text-unidecode": "Artistic License",
}  # fmt: skip


@dataclass(frozen=True)
class Locked:
    """A line of a lock file."""

    name: str
    version: str
    hashes: int


def locked(lock: Path) -> list[Locked]:
    """The packages of a lock file, with the number of hashes of each."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8"))
    found = []
    for entry in entries:
        if match := re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?(?:==([^ ;\\]+))?", entry):
            found.append(
                Locked(match[1], (match[2] or "").strip(), len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)))
            )
    return [package for package in found if package.name]


def hashes() -> Part:
    """Every locked package has an exact version and a hash, so that `--require-hashes` installs what was locked and nothing else."""
    part = Part("locked packages: an exact version and SHA-256 hashes")
    for lock in LOCKS:
        for package in locked(REPOSITORY / lock):
            part.check(
                bool(package.version) and package.hashes > 0, f"{lock}: {package.name} has no version or no hash"
            )
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    part.check(
        all(f"$(INSTALL) -r {lock}" in text for lock in LOCKS) and "--require-hashes" in text,
        "make installs without --require-hashes",
    )
    return part


def licence(name: str) -> str:
    """The licence that the metadata of an installed package states; empty where it states none."""
    if name in KNOWN:
        return KNOWN[name]
    try:
        said = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
    classifiers = [
        text.rpartition(" :: ")[2] for text in said.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    stated = [(said.get_all(field) or [""])[0].strip() for field in ("License-Expression", "License")]
    return stated[0] or "; ".join(classifiers) or stated[1].split("\n")[0]


def licences() -> Part:
    """Every package that a user installs has a known licence that allows it."""
    part = Part("locked packages: licences")
    absent = []
    for package in locked(REPOSITORY / LOCKS[0]):
        found = licence(package.name)
        part.check(
            bool(COMPATIBLE.search(found)) and not STRONG.search(found), f"{package.name}: {found or 'unknown licence'}"
        )
        if package.name in KNOWN:
            absent.append(package.name)
    part.said = f"of {', '.join(absent)} the metadata says nothing or a choice, so that their source was read"
    return part


def vulnerabilities() -> Part:
    """What pip-audit finds, from PyPI and from OSV; a service that cannot be reached is said, and is no result."""
    part = Part("locked packages: known vulnerabilities")
    said = []
    for service in ("pypi", "osv"):
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "-r",
            LOCKS[0],
            "--no-deps",
            "--disable-pip",
            "--vulnerability-service",
            service,
        ]
        try:
            done = subprocess.run(
                [*command, "-f", "json", "--progress-spinner", "off"],
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                timeout=300,
            )
            packages = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError, subprocess.TimeoutExpired):
            said.append(f"{service} could not be reached, so it gave no result")
            continue
        answered = [package for package in packages if "vulns" in package]
        for package in answered:
            part.check(
                not package["vulns"],
                f"{package['name']} {package['version']}: {', '.join(v['id'] for v in package['vulns'])}",
            )
        unknown = len(packages) - len(answered)
        said.append(
            f"{service} answered for {len(answered)} of {len(packages)} packages"
            + (f" and knew nothing of {unknown}" if unknown else "")
        )
    part.said = "; ".join(said)
    return part


def bill_of_materials() -> Part:
    """`make sbom` writes a CycloneDX document that is valid and lists every locked package with version and hashes."""
    part = Part("bill of materials (CycloneDX)")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "sbom.json"
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "cyclonedx_py",
            "requirements",
            LOCKS[0],
            *sbom_options(),
            "-o",
            str(target),
        ]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
        part.check(done.returncode == 0, f"it is not made, or not valid: {done.stderr[-300:]}")
        if done.returncode:
            return part
        made = {(c["name"], c["version"]): c for c in json.loads(target.read_text(encoding="utf-8"))["components"]}
    for package in locked(REPOSITORY / LOCKS[0]):
        entry = made.get((package.name, package.version), {})
        listed = sum(len(reference.get("hashes", ())) for reference in entry.get("externalReferences", ()))
        part.check(listed == package.hashes, f"{package.name} is missing or differs")
    return part


def sbom_options() -> list[str]:
    """The options with which the Makefile makes it."""
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    match = re.search(r"cyclonedx_py requirements requirements\.lock (.*) -o dist/sbom\.json", text)
    if not match:
        raise ValueError("The Makefile has no target that writes dist/sbom.json from requirements.lock.")
    return match[1].split()


def parts() -> list[Part]:
    """All of the above."""
    return [hashes(), licences(), vulnerabilities(), bill_of_materials()]
