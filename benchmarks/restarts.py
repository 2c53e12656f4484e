"""Restarts under load, and what they lose.

`rolling`: three instances behind nginx, which retries nothing. As in Kubernetes, one poller asks each instance whether
it is ready and takes it out of nginx's list when it is not; instances are stopped with SIGTERM, one after the other,
and started again. `workers`: one of two workers gets SIGTERM, SIGINT or SIGKILL.

    python -m benchmarks.restarts                      # both; needs nginx
    python -m benchmarks.restarts rolling --rounds 1
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.instances import START_SECONDS, Instance, free_port, machine, start
from benchmarks.load import Generator, Loop, Result, raw_request
from tests import pictures

INSTANCES = 3
CALLERS = 8
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)

CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log warn;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream digits {{ {servers} keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        # A caller that kept its connection would have to expect that a reload closes it.
        keepalive_timeout 0;
        location / {{
            proxy_pass http://digits;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
        }}
    }}
}}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restarts", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("rolling", "workers", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=10, help="times that every instance or worker is replaced")
    parser.add_argument("--rate", type=float, default=150, help="requests a second through nginx")
    parser.add_argument("--drain", type=float, default=3, help="seconds an instance serves on after SIGTERM")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {"machine": machine()}
    if options.what != "workers":
        figures["rolling"] = rolling(options.rounds, rate=options.rate, drain=options.drain)
    if options.what != "rolling":
        figures["workers"] = [workers(number) for _ in range(options.rounds) for number in SIGNALS]
    print(json.dumps(figures, indent=1))
    lost = figures.get("rolling", {}).get("lost", 0)
    return 1 if lost or any(run["lost"] > run["held"] for run in figures.get("workers", ())) else 0


# --- three instances behind nginx --------------------------------------------------------------------------------


def rolling(rounds: int, *, rate: float, drain: float) -> dict[str, Any]:
    """Restart each of three instances so many times under load; how many requests were answered and lost."""
    ports = [free_port() for _ in range(INSTANCES)]
    environ = {"DIGITS_DRAIN_SECONDS": str(drain)}
    instances = [start(port, **environ) for port in ports]
    try:
        for instance in instances:
            instance.await_ready()
        with _nginx(ports) as proxy, _Poller(instances, proxy) as poller:

            def restart_all() -> None:
                for index in range(rounds * INSTANCES):
                    _restart(instances, index % INSTANCES, poller, environ)

            result = _under_load(f"http://127.0.0.1:{proxy.port}/predict", rate, restart_all)
    finally:
        for instance in instances:
            instance.stop()
    return {
        "restarts": rounds * INSTANCES,
        "seconds": round(result.seconds),
        "answered": result.answered,
        "lost": result.sent - result.answered,
        "statuses": {str(status): len(times) for status, times in sorted(result.latencies.items())},
        "failures": dict(result.failures),
        "p99_ms": round(result.percentile_ms(99), 1),
    }


def _restart(instances: list[Instance], index: int, poller: "_Poller", environ: dict[str, str]) -> None:
    old = instances[index]
    old.process.send_signal(signal.SIGTERM)
    status = old.process.wait(START_SECONDS)
    if status:
        raise RuntimeError(f"an instance ended with status {status}: {old.log.read_text()}")
    instances[index] = start(old.port, **environ)
    until = time.monotonic() + START_SECONDS
    while old.port not in poller.ready:
        if time.monotonic() > until:
            raise RuntimeError(f"an instance did not come back: {instances[index].log.read_text()}")
        time.sleep(0.1)


def _under_load(url: str, rate: float, work: Callable[[], None]) -> Result:
    """What came of an open loop that ran while `work` did, and a second longer on both sides."""
    generator = Generator(url, [raw_request(url, pictures.png(digit)) for digit in range(10)])
    thread = threading.Thread(target=lambda: (time.sleep(1), work(), time.sleep(1), generator.stop()))

    async def load() -> Result:
        thread.start()
        return await generator.run(rate, 1e6)

    result = uvloop.run(load())
    thread.join()
    return result


class _Proxy:
    """nginx with a list of instances that can be changed."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder

    @property
    def command(self) -> list[str]:
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise RuntimeError("nginx is not installed")
        return [program, "-c", str(self._folder / "nginx.conf"), "-p", str(self._folder)]

    def list(self, ports: Sequence[int]) -> None:
        servers = " ".join(f"server 127.0.0.1:{port} max_fails=0;" for port in ports)
        text = CONFIGURATION.format(folder=self._folder, port=self.port, servers=servers)
        (self._folder / "nginx.conf").write_text(text)

    def reload(self, ports: Sequence[int]) -> None:
        self.list(ports)
        subprocess.run([*self.command, "-s", "reload"], check=True, stderr=subprocess.DEVNULL)


@contextmanager
def _nginx(ports: Sequence[int]) -> Iterator[_Proxy]:
    with tempfile.TemporaryDirectory() as folder:
        # nginx gives its workers another user, who must be able to look here.
        Path(folder).chmod(0o755)
        proxy = _Proxy(Path(folder))
        proxy.list(ports)
        with subprocess.Popen(proxy.command, stderr=subprocess.DEVNULL) as process:
            try:
                _await_port(proxy.port)
                yield proxy
            finally:
                process.send_signal(signal.SIGQUIT)
                process.wait(START_SECONDS)


def _await_port(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while f":{port:04X} 00000000:0000 0A" not in Path("/proc/net/tcp").read_text():
        if time.monotonic() > until:
            raise RuntimeError("nginx does not listen")
        time.sleep(0.05)


class _Poller:
    """Asks every half second who is ready, and tells nginx when that changes."""

    PERIOD = 0.5

    def __init__(self, instances: Sequence[Instance], proxy: _Proxy) -> None:
        self.ready = [instance.port for instance in instances]
        self._instances, self._proxy = instances, proxy
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "_Poller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.PERIOD):
            ready = [instance.port for instance in self._instances if instance.is_ready()]
            if ready and ready != self.ready:
                self._proxy.reload(ready)
                self.ready = ready


# --- one of two workers ------------------------------------------------------------------------------------------


def workers(number: signal.Signals) -> dict[str, Any]:
    """End one of two workers under load; how many requests were lost, and how many connections the worker held."""
    instance = start(free_port(), DIGITS_WORKERS="2", DIGITS_DRAIN_SECONDS="2")
    try:
        instance.await_ready()
        while len(instance.workers()) < 2:
            time.sleep(0.1)
        url = f"{instance.url}/predict"
        loop = Loop(url, [raw_request(url, pictures.png(digit)) for digit in range(10)], CALLERS)
        held: set[int] = set()

        def end_one() -> None:
            time.sleep(2)
            [ended, _] = instance.workers()
            held.update(_end(ended, number))
            while ended in instance.workers() or len(instance.workers()) < 2:
                time.sleep(0.1)
            time.sleep(2)
            loop.stop()

        thread = threading.Thread(target=end_one)
        thread.start()
        result = uvloop.run(loop.run())
        thread.join()
    finally:
        instance.stop()
    return {
        "signal": number.name,
        "answered": result.answered,
        "lost": result.lost(),
        "held": len(held),
        "lost_that_the_worker_did_not_hold": len(set(loop.lost_ports) - held),
        "failures": dict(result.failures),
    }


def _end(pid: int, number: signal.Signals) -> set[int]:
    """Send the signal; of SIGKILL, the callers' ports of the connections that the process held then."""
    held = set()
    if number == signal.SIGKILL:
        # Stopped first, so that it holds the same connections when they are counted and when it dies.
        os.kill(pid, signal.SIGSTOP)
        held = _ports(pid)
    os.kill(pid, number)
    return held


def _ports(pid: int) -> set[int]:
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        if found := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
            inodes.add(found[1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # Column 2 is the other end, column 3 the state (01: established), column 9 the inode.
    return {int(row[2].split(":")[1], 16) for row in rows if row[9] in inodes and row[3] == "01"}


if __name__ == "__main__":
    sys.exit(main())
