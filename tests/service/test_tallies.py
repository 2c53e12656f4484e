"""What is counted comes out in Prometheus's form, from one process or from the files of several."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from service import tallies


def close_files() -> None:
    for file in tallies._files.values():
        file.close()
    tallies._files.clear()


@pytest.fixture(autouse=True)
def _closed_files() -> Iterator[None]:
    yield
    close_files()


def count(folder: Path | None) -> list[tallies.Tally]:
    requests = tallies.Counter("requests", "Requests", ("route", "status"), folder)
    requests.inc("/predict", 200)
    requests.inc("/predict", 200)
    requests.inc("/", 404)
    in_flight = tallies.Gauge("in_flight", "In flight", folder=folder)
    in_flight.add(3)
    in_flight.add(-1)
    seconds = tallies.Histogram("seconds", "Seconds", (0.5, 1), ("stage",), folder)
    for value in (0.25, 0.5, 0.75, 4):
        seconds.observe(value, "read")
    model = tallies.Info("model_info", "Model", ("name",), folder)
    model.tell("digits")
    return [requests, in_flight, seconds, model]


def lines(registry: CollectorRegistry) -> set[str]:
    return {line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")}


EXPECTED = {
    'requests_total{route="/predict",status="200"} 2.0',
    'requests_total{route="/",status="404"} 1.0',
    "in_flight 2.0",
    'seconds_bucket{le="0.5",stage="read"} 2.0',
    'seconds_bucket{le="1.0",stage="read"} 3.0',
    'seconds_bucket{le="+Inf",stage="read"} 4.0',
    'seconds_count{stage="read"} 4.0',
    'seconds_sum{stage="read"} 5.5',
    'model_info{name="digits"} 1.0',
}


def test_one_process_shows_what_it_counted() -> None:
    registry = CollectorRegistry()
    for tally in count(None):
        registry.register(tally)
    assert lines(registry) == EXPECTED


def test_files_hold_the_same_numbers_for_the_client_librarys_collector(tmp_path: Path) -> None:
    count(tmp_path)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))
    assert lines(registry) == EXPECTED


def test_a_process_with_the_number_of_a_dead_one_goes_on_where_that_stopped(tmp_path: Path) -> None:
    count(tmp_path)
    close_files()
    tallies.Counter("requests", "Requests", ("route", "status"), tmp_path).inc("/", 404)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))
    assert 'requests_total{route="/",status="404"} 2.0' in lines(registry)


def test_what_changed_in_a_turn_of_the_event_loop_is_in_the_files_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = tallies.MmapedDict.write_value

    def note(file: tallies.MmapedDict, key: str, value: float, timestamp: float) -> None:
        written.append(key)
        write(file, key, value, timestamp)

    async def count_twice() -> list[set[str]]:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(tmp_path))
        count(tmp_path)
        monkeypatch.setattr(tallies.MmapedDict, "write_value", note)
        requests = tallies.Counter("more", "More", ("route",), tmp_path)
        for _ in range(50):
            requests.inc("/predict")
        await asyncio.sleep(0)
        first = lines(registry)
        requests.inc("/predict")
        await asyncio.sleep(0)
        return [first, lines(registry)]

    first, second = asyncio.run(count_twice())
    assert first == EXPECTED | {'more_total{route="/predict"} 50.0'}
    assert second == EXPECTED | {'more_total{route="/predict"} 51.0'}
    assert len(written) <= len(EXPECTED) + 5
    assert len([key for key in written if "more" in key]) == 2


def test_what_no_turn_wrote_is_written_when_asked(tmp_path: Path) -> None:
    async def count_last() -> None:
        count(tmp_path)

    asyncio.run(count_last())
    tallies.save()
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(tmp_path))
    assert lines(registry) == EXPECTED
