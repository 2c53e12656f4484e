"""`digits serve`: uvicorn with the settings this service needs, one process or several that share their metrics."""

import os
import signal
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
from service.errors import SettingError
from service.protocol import GuardedProtocol
from service.settings import Settings, unknown_variables, variable

# Load balancers close an idle connection after 60 s; closing first would cost them a request now and then.
KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 20


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartupError: the model is not what the contract describes, or the folder for metrics cannot be used.
    """
    logs.configure(settings.log_format, settings.log_level)
    for warning in unknown_variables():
        logs.LOGGER.warning(warning)
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

    def join_all(self) -> None:
        """Wait for the workers to drain; a second signal ends them at once."""
        self.signal_queue.clear()
        while any(process.process.is_alive() for process in self.processes):
            if self.signal_queue:
                for process in self.processes:
                    process.process.kill()
            time.sleep(0.05)
        super().join_all()

    def keep_subprocess_alive(self) -> None:
        # Not at the top: the library reads PROMETHEUS_MULTIPROC_DIR when it is first imported.
        from prometheus_client.multiprocess import mark_process_dead

        before = {process.pid for process in self.processes}
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
    DigitClassifier.load(settings.model_path).warm_up()
    ColumnReader.load(settings.field_model_path).warm_up()


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "service.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
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
