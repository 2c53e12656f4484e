"""Starting, watching and stopping the servers that are compared, each in an environment of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = Path(os.environ.get("BENCH_ENVIRONMENTS", ROOT / ".bench"))
PORT = 8400
PORT_SECONDS = 10.0
SERVER_CORE, CLIENT_CORE = "0", "1"


@dataclass(frozen=True)
class Server:
    """How one server is started and asked. `packages` are what its environment needs beside the service's own."""

    name: str
    command: tuple[str, ...]
    packages: tuple[str, ...] = ()
    path: str = "/predict"
    environ: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{PORT}{self.path}"

    @property
    def environment(self) -> Path:
        return ENVIRONMENTS / "-".join(("service", *self.packages))

    @property
    def bin(self) -> Path:
        return self.environment / "bin"


_UVICORN = ("uvicorn", "--port", str(PORT), "--log-level", "warning")
DIGITS = Server("digits", ("python", "-m", "service.cli", "serve", "--port", str(PORT)))
_MOSEC = ("python", "-m", "benchmarks.peers.mosec_peer", "--port", str(PORT), "--address", "127.0.0.1")
_LITSERVE = ("python", "-m", "benchmarks.peers.litserve_peer")
TUTORIAL = Server("FastAPI tutorial", (*_UVICORN, "benchmarks.peers.tutorial:app"))
RAW = Server("FastAPI, raw body", (*_UVICORN, "benchmarks.peers.raw:app"))
MOSEC_SINGLE = Server("mosec", _MOSEC, ("mosec==0.9.8",), "/inference", {"BENCH_BATCH": "1"})
MOSEC = Server("mosec, batches of 16", _MOSEC, ("mosec==0.9.8",), "/inference", {"BENCH_BATCH": "16"})
LITSERVE = Server("LitServe", _LITSERVE, ("litserve==0.2.19",))
LITSERVE_BATCHES = Server("LitServe, batches of 16", _LITSERVE, ("litserve==0.2.19",), environ={"BENCH_BATCH": "16"})
# No peer: what the machine and the generator do to a server that only uses up time.
SPIN = Server("only uses up time", ("python", "-m", "benchmarks.peers.spin", "--port", str(PORT)))
BENTOML = Server(
    "BentoML",
    ("bentoml", "serve", "benchmarks.peers.bentoml_peer:Reading", "--port", str(PORT), "--host", "127.0.0.1"),
    ("bentoml==1.4.39",),
)


@dataclass
class Usage:
    """What a running server has used: seconds of processor time, and the peak of its memory in MB, all processes.

    Its processes are the first one and all that descend from it, in whatever session or group they are. One that was seen
    once stays known: what it used still counts after its end, and it is found again when its parent has ended before it.
    `start_seconds` is the time from its start to its first answer.
    """

    pid: int
    start_seconds: float = 0.0
    _ticks: dict["Process", int] = field(default_factory=dict)

    def processes(self) -> list["Process"]:
        """Those that run now."""
        parents, ticks = {}, {}
        for process, parent, used in _running():
            parents[process], ticks[process] = parent, used
            if not self._ticks and process.pid == self.pid:
                self._ticks[process] = used
        known = _with_descendants({process for process in self._ticks if process in parents}, parents)
        self._ticks |= {process: ticks[process] for process in known}
        return sorted(known)

    def cpu_seconds(self) -> float:
        self.processes()
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def peak_megabytes(self) -> float:
        return sum(_peak_kilobytes(process.pid) for process in self.processes()) / 1024

    def kill(self) -> None:
        """End all that still runs, and wait until none does."""
        while left := self.processes():
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.05)


class Process(NamedTuple):
    """One process, told from a later one with the same number by when it started, in ticks since boot."""

    pid: int
    started: int


def _with_descendants(known: set[Process], parents: Mapping[Process, int]) -> set[Process]:
    numbers = {process.pid for process in known}
    grown = known | {process for process, parent in parents.items() if parent in numbers}
    return known if grown == known else _with_descendants(grown, parents)


def _running() -> Iterator[tuple[Process, int, int]]:
    """All processes but those that only wait to be reaped, each with its parent's number and its processor time in ticks."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # After the name, which may hold anything: proc(5) counts from the third field on.
            fields = path.read_text().rsplit(")", 1)[1].split()
            if fields[0] not in "ZX":
                process = Process(int(path.parent.name), int(fields[19]))
                yield process, int(fields[1]), int(fields[11]) + int(fields[12])


def _peak_kilobytes(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return 0


def install(server: Server) -> None:
    """Make the server's environment, if it is not there."""
    done = server.environment.with_name(server.environment.name + ".installed")
    if done.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(server.environment)], check=True)
    pip = [str(server.bin / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, *constraints, "--editable", str(ROOT)], check=True)
    if server.packages:
        subprocess.run([*pip, *server.packages], check=True)
    done.touch()


@contextmanager
def running(server: Server, core: str = SERVER_CORE, **environ: str) -> Iterator[Usage]:
    """The server, pinned to its cores, from its first answer to its end.

    Raises RuntimeError if it does not start, or if another holds its port: that one would be measured instead.
    """
    _await_free_port()
    started = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", core, str(server.bin / server.command[0]), *server.command[1:]],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "DIGITS_LOG_LEVEL": "warning", "DIGITS_DRAIN_SECONDS": "0", "BENCH_PORT": str(PORT)}
        | server.environ
        | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    usage = Usage(process.pid)
    try:
        _await(server, process)
        usage.start_seconds = time.perf_counter() - started
        yield usage
    finally:
        _stop(process, usage)
        time.sleep(0.5)


def _stop(process: subprocess.Popen[bytes], usage: Usage) -> None:
    """Ask the server to end, and end what is left of it, in sessions of their own too."""
    usage.processes()
    os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    usage.kill()
    process.wait()


def _await_free_port() -> None:
    until = time.monotonic() + PORT_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)):
                return
        time.sleep(0.1)
    raise RuntimeError(f"something listens on port {PORT} already")


def _await(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{server.name} ended with status {process.returncode} before it answered")
        try:
            urllib.request.urlopen(server.url, timeout=1)
        except urllib.error.HTTPError as answer:
            if answer.code < 500:
                return
        except OSError:
            pass
        else:
            return
        time.sleep(0.02)
    raise RuntimeError(f"{server.name} did not answer within a minute")
