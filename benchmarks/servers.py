"""Starting, watching and stopping the servers that are compared, each in an environment of its own."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = Path(os.environ.get("BENCH_ENVIRONMENTS", ROOT / ".bench"))
PORT = 8400
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
BENTOML = Server(
    "BentoML",
    ("bentoml", "serve", "benchmarks.peers.bentoml_peer:Reading", "--port", str(PORT), "--host", "127.0.0.1"),
    ("bentoml==1.4.39",),
)


@dataclass
class Usage:
    """What a running server has used: seconds of processor time, and the peak of its memory in MB, all processes.

    `start_seconds` is the time from its start to its first answer.
    """

    pid: int
    start_seconds: float = 0.0

    def _pids(self) -> list[int]:
        listed = subprocess.run(["ps", "-o", "pid=", "-g", str(self.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in listed.stdout.split()]

    def cpu_seconds(self) -> float:
        ticks = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak_megabytes(self) -> float:
        peaks = []
        for pid in self._pids():
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            peaks += [int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")]
        return sum(peaks)


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
    """The server, pinned to its cores, from its first answer to its end."""
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
    try:
        _await(server, process)
        yield Usage(process.pid, time.perf_counter() - started)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(0.5)


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
