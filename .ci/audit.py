"""Are the dependencies what the repository says, and is none of them known to be vulnerable or withdrawn?

Without a network: everything is pinned, what the image installs has hashes and the pinned versions, this environment
has the pinned versions, and none is in .ci/advisories.txt. With one: no pinned version was yanked from the package
index, and pip-audit finds nothing. What could not be asked is said, and does not fail.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

HERE = Path(__file__).parent
SECONDS = 120
# How pip-audit ends when it found something; otherwise than by that it fails where its service cannot be reached.
FOUND = re.compile(r"Found \d+ known vulnerabilit")


def main() -> int:
    root = HERE.parent
    lines = _lines(root / "constraints.txt")
    pinned = _pinned(lines)
    faults = [f"constraints.txt: {line} is not pinned" for line in lines if "==" not in line]
    faults += _unlike_constraints((root / "requirements.txt").read_text(encoding="utf-8"), pinned)
    faults += [
        f"installed is {name} {version}, constraints.txt has {pinned[name]}"
        for name, version in _installed()
        if name in pinned and version != pinned[name]
    ]
    faults += known_advisories(pinned)
    faults += _yanked(root / "requirements.txt")
    faults += _pip_audit(root / "requirements.txt")
    for fault in faults:
        print(f"audit: {fault}", file=sys.stderr)
    print(f"audit: {len(pinned)} pinned packages, {len(faults)} faults")
    return 1 if faults else 0


def known_advisories(pinned: dict[str, Version]) -> list[str]:
    """The advisories of the list kept here that concern one of these versions."""
    found = []
    for line in _lines(HERE / "advisories.txt"):
        affected, name, source = line.split()
        requirement = Requirement(affected)
        version = pinned.get(canonicalize_name(requirement.name))
        if version is not None and version in requirement.specifier:
            found.append(f"{requirement.name} {version}: {name}, {source}")
    return found


def _lines(path: Path) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def _pinned(lines: list[str]) -> dict[str, Version]:
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def _unlike_constraints(requirements: str, pinned: dict[str, Version]) -> Iterator[str]:
    """What of requirements.txt has no hash, or another version than constraints.txt."""
    for entry in requirements.replace("\\\n", "").splitlines():
        requirement = Requirement(entry.partition("--hash")[0])
        [specifier] = requirement.specifier
        if specifier.operator != "==" or "--hash=sha256:" not in entry:
            yield f"requirements.txt: {requirement.name} is not pinned by hash"
        # What only another platform needs was not there when constraints.txt was made.
        wanted = pinned.get(canonicalize_name(requirement.name))
        if wanted is None and requirement.marker is None:
            yield f"requirements.txt: {requirement.name} is not in constraints.txt"
        if wanted is not None and Version(specifier.version) != wanted:
            yield f"requirements.txt: {requirement.name} is {specifier.version}, constraints.txt has {wanted}"


def _installed() -> Iterator[tuple[str, Version]]:
    for distribution in metadata.distributions():
        yield canonicalize_name(distribution.metadata["Name"]), Version(distribution.version)


def _yanked(requirements: Path) -> list[str]:
    command = [*(sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet")]
    done = _run([*command, "--report", "-", "--requirement", str(requirements)])
    if done is None or done.returncode:
        print("audit: NOT ASKED whether a version was yanked: no package index can be reached")
        return []
    entries = json.loads(done.stdout)["install"]
    if not all("is_yanked" in entry for entry in entries):
        print("audit: NOT ASKED whether a version was yanked: this pip does not say")
        return []
    return [f"{entry['metadata']['name']} was yanked from the index" for entry in entries if entry["is_yanked"]]


def _pip_audit(requirements: Path) -> list[str]:
    command = [*(sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off")]
    # Without --strict, a package that the service does not know passes for sound.
    done = _run([*command, "--strict", "--timeout", "5", "--requirement", str(requirements)])
    if done is not None and FOUND.search(done.stderr):
        return [f"pip-audit: {done.stdout.strip()}"]
    if done is None or done.returncode:
        print("audit: NOT ASKED pip-audit: its database cannot be reached; .ci/advisories.txt was asked instead")
    return []


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return None


if __name__ == "__main__":
    sys.exit(main())
