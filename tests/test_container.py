"""The container image: what it is made of, and that it serves from a read-only root as nobody.

No engine and no registry are needed: buildah builds it on a base made of the distribution's own packages, and the image
then runs in namespaces of its own, its root file system mounted read-only, as process 1.
"""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import httpx2
import pytest

from service import __version__
from tests import pictures
from tests.processes import get_ready
from tests.programs import need

ROOT = Path(__file__).parent.parent
MAX_LAYER_MB = 250

# A name that no container may have, since no process of the service looks for it.
FORBIDDEN = re.compile(
    r"/(gcc|g\+\+|cc|c\+\+|clang|ld|make|pip3?|site-packages/pip|ensurepip|tensorflow|keras|tests?|.*\.whl|\.cache)$"
)


# --- requirements ------------------------------------------------------------------------------------------------


def pins(path: Path) -> dict[str, str]:
    lines = re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in lines}


def needed(name: str, seen: set[str]) -> set[str]:
    """Names of a distribution and all it requires without extras, on Linux."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    if name in seen:
        return seen
    seen.add(name)
    for requirement in distribution(name).requires or []:
        if "extra ==" not in requirement and not re.search(r"python_version < ['\"]3\.1[12]", requirement):
            needed(re.split(r"[^\w.-]", requirement)[0], seen)
    return seen


def test_the_image_installs_the_versions_of_the_constraints() -> None:
    installed, constraints = pins(ROOT / "requirements.txt"), pins(ROOT / "constraints.txt")
    assert {name: constraints[name] for name in installed} == installed, "run make requirements"


def test_the_image_installs_what_the_service_needs_and_no_more() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [block] = re.findall(r"^dependencies = \[(.*?)^\]", project, re.M | re.S)
    names: set[str] = set()
    for name in re.findall(r'"([\w.-]+)', block):
        needed(name, names)
    assert set(pins(ROOT / "requirements.txt")) == names, "run make requirements"


def test_every_package_of_the_image_has_hashes_and_comes_from_no_named_address() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=\w)", text, flags=re.M)[1:]
    assert len(entries) == len(pins(ROOT / "requirements.txt"))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


# --- the image ---------------------------------------------------------------------------------------------------


@dataclass
class Image:
    """A built image: its configuration, and its mounted file system and that of its base."""

    config: dict[str, Any]
    root: Path
    base: Path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    need("buildah")
    need("mmdebstrap")
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "the container tests mount file systems; CI must run as root"
        pytest.skip("mounting file systems needs root")
    folder = tmp_path_factory.mktemp("image")
    buildah = ["buildah", "--root", f"{folder}/storage", "--runroot", f"{folder}/run"]
    try:
        yield build(buildah, folder)
    finally:
        run(*buildah, "rm", "--all")
        run(*buildah, "rmi", "--all", "--force")
        shutil.rmtree(folder, ignore_errors=True)


def build(buildah: list[str], folder: Path) -> Image:
    """`make image`, on a base with Python and nothing else, and a builder with pip beside it."""
    codename = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    assert codename
    run("mmdebstrap", "--variant=minbase", "--include=python3,ca-certificates", codename[1], f"{folder}/base.tar")
    container = run(*buildah, "from", "scratch")
    run(*buildah, "add", "--quiet", container, f"{folder}/base.tar", "/")
    run(*buildah, "commit", "--quiet", "--format", "docker", container, "localhost/base")
    run(*buildah, "run", "--isolation", "chroot", container, "--", "apt-get", "update", "-qq")
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip"
    run(*buildah, "run", "--isolation", "chroot", container, "--", "sh", "-c", install)
    run(*buildah, "commit", "--quiet", "--format", "docker", container, "localhost/builder")
    # The builder's pip reaches the package index the way this machine does.
    shared = [path for path in ("/etc/pip.conf", "/etc/ssl/certs") if Path(path).exists()]
    flags = ["--isolation chroot", "--build-arg BASE=localhost/base", "--build-arg BUILDER=localhost/builder"]
    flags += [f"--volume {path}:{path}:ro" for path in shared]
    run("make", "image", f"ENGINE={' '.join(buildah)}", f"IMAGE_FLAGS={' '.join(flags)}", cwd=ROOT)
    name = f"localhost/digits:{__version__}"
    config = json.loads(run(*buildah, "inspect", "--type", "image", name))["Docker"]["config"]
    roots = [Path(run(*buildah, "mount", run(*buildah, "from", of))) for of in (name, "localhost/base")]
    return Image(config, *roots)


def run(*command: str, cwd: Path | None = None) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout.strip()


def files(root: Path) -> dict[str, int]:
    """Path below the root -> bytes, of every file; links count nothing."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            status = os.lstat(Path(folder) / name)
            if stat.S_ISREG(status.st_mode):
                found[f"{folder.removeprefix(str(root))}/{name}"] = status.st_size
    return found


def folders(root: Path) -> set[str]:
    return {folder.removeprefix(str(root)) for folder, _, _ in os.walk(root)}


def test_it_adds_at_most_250_mb_to_its_base_and_only_what_is_served(image: Image) -> None:
    base, ours = files(image.base), files(image.root)
    added = {path: size for path, size in ours.items() if base.get(path) != size}
    megabytes = sum(added.values()) / 1e6
    print(f"image: {megabytes:.1f} MB above its base, which has {sum(base.values()) / 1e6:.1f} MB")
    assert megabytes <= MAX_LAYER_MB
    tops = {path.split("/")[2] for path in added if path.startswith("/app/")}
    assert tops == {"packages", "service", "models"}
    assert all(path.startswith("/app/") for path in added if not path.startswith(("/etc/", "/run/", "/proc/", "/dev/")))


def test_it_holds_no_compiler_no_pip_no_tests_and_no_training(image: Image) -> None:
    named = set(files(image.root)) | folders(image.root)
    in_base = set(files(image.base)) | folders(image.base)
    assert not [path for path in named - in_base if FORBIDDEN.search(path)]
    program = re.compile(r"^/(usr/)?(local/)?bin/(gcc|g\+\+|cc|clang|ld|make|pip3?)$")
    assert not [path for path in named if program.match(path)]


def test_it_says_what_it_is_and_runs_as_nobody_without_a_shell(image: Image) -> None:
    labels = image.config["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels["org.opencontainers.image.revision"])
    assert image.config["User"] == "10001:10001"
    assert image.config["Entrypoint"][0] == "python3"
    assert image.config["Healthcheck"]["Test"][:2] == ["CMD", "python3"]


# --- the container -----------------------------------------------------------------------------------------------

# Everything but /tmp is read-only; the last command becomes process 1.
ENTER = """
mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -t proc proc "$0/proc" &&
mount -t tmpfs tmpfs "$0/tmp" && mount --rbind /dev "$0/dev" && exec env -i "$@"
"""


def command(image: Image, *arguments: str, **environ: str) -> list[str]:
    """The image's process in namespaces of its own, with the environment that the image sets and nothing else."""
    settings = [*image.config["Env"], *(f"{name}={value}" for name, value in environ.items())]
    process = ["chroot", "--userspec=10001:10001", "--groups=10001", str(image.root), *arguments]
    isolate = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private"]
    return [*isolate, "sh", "-c", ENTER, str(image.root), *settings, *process]


@dataclass
class Container:
    url: str
    # Its process 1, as numbered outside.
    pid: int
    process: subprocess.Popen[bytes]


@contextmanager
def container(image: Image, **environ: str) -> Iterator[Container]:
    """The running image, from its readiness to its end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [*image.config["Entrypoint"], *image.config["Cmd"]]
    line = command(image, *arguments, DIGITS_PORT=str(port), DIGITS_DRAIN_SECONDS="0", **environ)
    with subprocess.Popen(line, stderr=subprocess.DEVNULL) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            url = f"http://127.0.0.1:{port}"
            get_ready(url)
            yield Container(url, int(children.read_text()), process)
        finally:
            # With its process 1 a namespace ends.
            for pid in children.read_text().split() if process.poll() is None else []:
                os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_from_a_read_only_root_it_reads_a_digit_and_stops_when_told(image: Image, workers: str) -> None:
    with container(image, DIGITS_WORKERS=workers) as running:
        answer = httpx2.post(f"{running.url}/predict", content=pictures.png(7))
        assert (answer.status_code, answer.json().get("digit")) == (200, 7), answer.text
        assert httpx2.get(f"{running.url}/metrics").status_code == 200
        status = Path(f"/proc/{running.pid}/status").read_text()
        assert re.search(r"^Uid:\t10001\t10001\t10001\t10001$", status, re.M)
        assert re.search(r"^NSpid:\t\d+\t1$", status, re.M)
        assert os.access(f"/proc/{running.pid}/root/tmp", os.W_OK)
        mounts = Path(f"/proc/{running.pid}/mounts").read_text()
        assert re.findall(r"^\S+ / \S+ (\w+),", mounts, re.M)[-1] == "ro"
        os.kill(running.pid, signal.SIGTERM)
        assert running.process.wait(30) == 0


def test_its_health_check_tells_a_serving_container_from_one_that_is_not(image: Image) -> None:
    check = image.config["Healthcheck"]["Test"][1:]
    with container(image) as running:
        port = running.url.rsplit(":", 1)[1]
        assert subprocess.run(command(image, *check, DIGITS_PORT=port), check=False).returncode == 0
    done = subprocess.run(command(image, *check, DIGITS_PORT=port), capture_output=True, check=False)
    assert done.returncode != 0
