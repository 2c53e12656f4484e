"""`digits serve`: uvicorn with the settings this service needs, one process or several that share their metrics."""

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from service import logs
from service.classifier import DigitClassifier
from service.columns import ColumnReader
from service.errors import ModelError, SettingError
from service.protocol import GuardedProtocol
from service.settings import Settings, unknown_variables, variable

# Load balancers close an idle connection after 60 s; closing first would cost them a request now and then.
KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 20
# On a machine at its limits a sound worker may take long to start, and to answer the one who watches over it.
HUNG_SECONDS = 30


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartupError: the model is not what the contract describes, or the folder for metrics cannot be used.
    """
    logs.configure(settings.log_format, settings.log_level)
    for warning in unknown_variables():
        logs.LOGGER.warning(warning)
    _check_host(settings)
    _check_model(settings)
    _export(settings)
    _allow_descriptors()
    if settings.workers == 1:
        # uvicorn raises the signal that stopped it once more when it is done; a stop that was asked for ends with 0.
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda *_: None)
        uvicorn.Server(_config(settings)).run()
        return
    with _metrics_dir(settings):
        config = _config(settings)
        _Supervisor(config, sockets=[config.bind_socket()]).run()


class _Supervisor(Multiprocess):
    """Replaces a worker that died, and takes its share out of the gauges of the living."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._signals = 0
        self._told: set[int] = set()
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, self._stop)

    def _stop(self, number: int, _: object) -> None:
        """Tell the workers at once; the loop that watches over them hears of it up to half a second later."""
        self.signal_queue.append(number)
        self._signals += 1
        if self._signals == 1 and sys.platform != "win32":
            for process in self.processes:
                if process.pid is not None and process.exitcode is None:
                    self._told.add(process.pid)
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGTERM)

    def terminate_all(self) -> None:
        """Tell those who were not told: a second signal would end a worker that drains."""
        for process in self.processes:
            if process.pid not in self._told:
                process.terminate()

    def join_all(self) -> None:
        """Wait for the workers to drain; a second signal ends them at once."""
        while any(process.process.is_alive() for process in self.processes):
            if self._signals > 1:
                for process in self.processes:
                    process.process.kill()
            time.sleep(0.05)
        super().join_all()

    def keep_subprocess_alive(self) -> None:
        # Not at the top: the library reads PROMETHEUS_MULTIPROC_DIR when it is first imported.
        from prometheus_client.multiprocess import mark_process_dead

        before = {process.pid for process in self.processes}
        for process in self.processes:
            # Only the worker holds its end then, so that its death is heard of at once instead of after HUNG_SECONDS.
            process.child_conn.close()
        super().keep_subprocess_alive()
        for pid in before - {process.pid for process in self.processes}:
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _allow_descriptors() -> None:
    """As many connections as the system allows; by default a process may have no more than 1,024 descriptors."""
    if sys.platform != "win32":
        import resource

        _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))


def _check_model(settings: Settings) -> None:
    """Refuse a bad model before the first worker starts: a message instead of a crash loop."""
    with _blaming("model_path"):
        DigitClassifier.load(settings.model_path).warm_up()
    with _blaming("field_model_path"):
        ColumnReader.load(settings.field_model_path).warm_up()


@contextmanager
def _blaming(field: str) -> Iterator[None]:
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{variable(field)} names no model for this service: {error}") from error


def _check_host(settings: Settings) -> None:
    try:
        socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        allowed = "a name or an address of this machine is, such as 127.0.0.1, or 0.0.0.0 for all"
        raise SettingError(f"DIGITS_HOST={settings.host!r} is not allowed: {exc.strerror}; {allowed}") from exc


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "service.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=HUNG_SECONDS,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        http=GuardedProtocol,
        loop=_loop(settings.workers),
        forwarded_allow_ips=settings.forwarded_allow_ips,
    )


def _loop(workers: int) -> str:
    if sys.platform == "win32":
        return "auto"
    return "service.acceptor:SharingLoop" if workers > 1 else "service.acceptor:EagerLoop"


def _export(settings: Settings) -> None:
    """Hand the settings to the application, which reads the environment: what the command line said counts too."""
    for field, value in settings.model_dump(exclude_none=True).items():
        # Keys stand in the environment already, mostly as the name of a file, where they may hold commas.
        if field != "api_keys" or variable(field) not in os.environ:
            os.environ[variable(field)] = ",".join(value) if isinstance(value, tuple) else str(value)


@contextmanager
def _metrics_dir(settings: Settings) -> Iterator[None]:
    """An empty folder for the workers' metric files; emptied before, since they count on where others stopped."""
    with ExitStack() as stack:
        folder = settings.metrics_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="digits-metrics-"))
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for stale in folder.glob("*.db"):
                stale.unlink()
        except OSError as exc:
            raise SettingError(f"DIGITS_METRICS_DIR={str(folder)!r} cannot be used: {exc.strerror}") from exc
        # Read by prometheus_client when it is first imported, here and in the workers.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        yield
