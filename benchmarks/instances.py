"""Instances of the service under experiments: started with a core of their own, watched through /proc, stopped."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_SECONDS = STOP_SECONDS = 60.0
# The service has one core, whoever asks it the other.
SERVICE_CORE, CALLER_CORE = {0}, {1}
SERVE = (sys.executable, "-m", "service.cli", "serve")


@dataclass
class Instance:
    """A running `digits serve`, where it listens, and the file it logs warnings into."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def await_ready(self) -> None:
        until = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the service did not start: {self.log.read_text()}")
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """Process ids of the workers, where there are several."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [pid for pid in map(int, children) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        self.log.unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(port: int, cores: set[int] | None = None, command: Sequence[str] = SERVE, **environ: str) -> Instance:
    """Start an instance without waiting for it."""
    descriptor, log = tempfile.mkstemp(prefix="digits-", suffix=".log")
    settings = {"DIGITS_LOG_LEVEL": "warning", "DIGITS_DRAIN_SECONDS": "0", "DIGITS_PORT": str(port)}
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings | environ, stderr=descriptor)
    os.close(descriptor)
    if cores:
        os.sched_setaffinity(process.pid, cores)
    return Instance(process, port, Path(log))


@contextmanager
def running(
    cores: set[int] | None = SERVICE_CORE, command: Sequence[str] = SERVE, **environ: str
) -> Iterator[Instance]:
    """An instance from its readiness to its end; the caller moves to the other core."""
    os.sched_setaffinity(0, CALLER_CORE)
    instance = start(free_port(), cores, command, **environ)
    try:
        instance.await_ready()
        yield instance
    finally:
        instance.stop()


@contextmanager
def busy(cores: set[int]) -> Iterator[None]:
    """Keep cores busy with nothing, at the lowest priority there is: whoever else wants them gets them."""
    spin = f"import os; os.sched_setaffinity(0, {cores}); os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
    spinner = subprocess.Popen([sys.executable, "-c", f"{spin}\nwhile True: pass"])
    try:
        yield
    finally:
        spinner.kill()
        spinner.wait()


def machine() -> str:
    """The processor and how many cores of it, for the line beside a figure."""
    names = [
        line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return f"{os.cpu_count()} cores of {names[0] if names else os.uname().machine}"
