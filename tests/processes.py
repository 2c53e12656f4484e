"""Real processes: `digits` as a user starts it."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

START_SECONDS = 60


@dataclass
class Server:
    """A running service and what it wrote to its log."""

    process: subprocess.Popen[str]
    url: str = ""
    log: list[str] = field(default_factory=list)

    def children(self) -> list[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [pid for pid in map(int, children) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def get_ready(url: str) -> None:
    """Wait until the service answers; for longer where the machine is so busy that the tries themselves take long."""
    for _ in range(300):
        try:
            if httpx2.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("not ready after 300 tries")


def run_digits(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


@contextmanager
def serving(*wrapper: str, clean: Mapping[str, str] | None = None, **environ: str) -> Iterator[Server]:
    """`digits serve` on a free port, from its readiness to its end.

    `wrapper` is a command that runs it; `clean` replaces the environment, `environ` is added to it.
    """
    command = [*wrapper, sys.executable, "-m", "service.cli", "serve", "--port", "0"]
    inherited = os.environ if clean is None else clean
    with subprocess.Popen(
        command, env={**inherited, "DIGITS_DRAIN_SECONDS": "0"} | environ, stderr=subprocess.PIPE, text=True
    ) as process:
        yield from _follow(process)


def _follow(process: subprocess.Popen[str]) -> Iterator[Server]:
    server = Server(process)
    listening = threading.Event()

    def follow() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            server.log.append(line)
            # uvicorn announces the address before the workers, and a single server once it is ready.
            if found := re.search(r"running on (http://\S+)", line):
                server.url = found.group(1)
                listening.set()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        assert listening.wait(START_SECONDS), "".join(server.log)
        yield server
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        thread.join()
