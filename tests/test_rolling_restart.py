"""A rolling restart as Kubernetes does it, with the timings written in the Deployment: no request may fail.

For each old instance a new one starts and gets ready; then the old one leaves the endpoints, which callers notice late,
waits out its `preStop`, gets SIGTERM, and has to be gone within its grace period.
"""

import http.client
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from tests import pictures
from tests.processes import Server, get_ready, serving

ROOT = Path(__file__).parent.parent
SEVEN = pictures.png(7)
INSTANCES = 2
CALLERS = 4
# How late a node learns that an endpoint is gone; less than the preStop, which is there for it.
PROPAGATION_SECONDS = 3.0


@dataclass(frozen=True)
class Timings:
    """Seconds, as the Deployment has them."""

    pre_stop: float
    drain: float
    grace: float

    @classmethod
    def of_the_deployment(cls) -> "Timings":
        manifest = yaml.safe_load((ROOT / "k8s/base/deployment.yaml").read_text(encoding="utf-8"))
        pod = manifest["spec"]["template"]["spec"]
        [container] = pod["containers"]
        environ = {entry["name"]: entry["value"] for entry in container["env"]}
        return cls(
            pre_stop=container["lifecycle"]["preStop"]["sleep"]["seconds"],
            drain=float(environ["DIGITS_DRAIN_SECONDS"]),
            grace=pod["terminationGracePeriodSeconds"],
        )


@dataclass
class Service:
    """What callers see of the instances: addresses, a little out of date, one picked for each new connection."""

    endpoints: list[str] = field(default_factory=list)
    next: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pick(self) -> str:
        with self.lock:
            self.next += 1
            return self.endpoints[self.next % len(self.endpoints)]

    def replace(self, old: str, new: str) -> None:
        with self.lock:
            self.endpoints = [new, *(endpoint for endpoint in self.endpoints if endpoint != old)]


class Callers:
    """Ask without pause, half of them on connections kept as long as the service lets them."""

    def __init__(self, service: Service) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._service, self._stop = service, threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(index % 2 == 0,)) for index in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def _run(self, keep: bool) -> None:
        connection = self._connect()
        while not self._stop.is_set():
            try:
                connection.request("POST", "/predict", SEVEN)
                response = connection.getresponse()
                body, leave = response.read(), response.will_close
                if response.status != 200:
                    self.failures.append(f"{response.status} {body.decode()}")
            except OSError as error:
                self.failures.append(repr(error))
                leave = True
            self.answered += 1
            if leave or not keep:
                connection.close()
                connection = self._connect()
            time.sleep(0.005)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self._service.pick()).netloc, timeout=30)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def replace(service: Service, old: Server, new: Server, timings: Timings) -> None:
    deleted = time.monotonic()
    time.sleep(PROPAGATION_SECONDS)
    service.replace(old.url, new.url)
    time.sleep(max(0.0, timings.pre_stop - PROPAGATION_SECONDS))
    old.process.send_signal(signal.SIGTERM)
    assert old.process.wait(timings.grace) == 0
    assert time.monotonic() - deleted < timings.grace


def test_a_rolling_restart_with_the_timings_of_the_deployment_loses_no_request() -> None:
    timings = Timings.of_the_deployment()
    environ = {"DIGITS_DRAIN_SECONDS": str(timings.drain)}
    service = Service()
    with ExitStack() as stack:
        old = [stack.enter_context(serving(**environ)) for _ in range(INSTANCES)]
        for instance in old:
            get_ready(instance.url)
            service.endpoints.append(instance.url)
        callers = Callers(service)
        stack.callback(callers.stop)
        for instance in old:
            new = stack.enter_context(serving(**environ))
            get_ready(new.url)
            replace(service, instance, new, timings)
        time.sleep(1)
        callers.stop()
    print(f"rolling restart of {INSTANCES} instances: {callers.answered} requests, {len(callers.failures)} failed")
    assert not callers.failures
    assert callers.answered > 500
