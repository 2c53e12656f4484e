"""The benchmark's document says what its results say."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import uvloop

from benchmarks import compare, report, servers, soak
from benchmarks.bodies import Bodies, write_bodies
from benchmarks.checks import count_wrong
from benchmarks.compare import BARS, DIGITS, GROWTH, LIMIT, OUTPUT, PLAIN, Load, model
from benchmarks.load import raw_request
from benchmarks.peers import spin
from benchmarks.servers import Usage
from service.limits import Limits
from service.uploads import many, one, parse
from tests import pictures

LIMITS = Limits(image_bytes=10**6, batch_bytes=10**7, unpacked_bytes=10**7, batch_items=64)


def results() -> dict:
    """Two rounds in which every server does 1,000 images a second, in the second round twice as many."""
    loads = [
        {"server": server.name, "start_seconds": 1.5, "requests_per_second": 1000 / load.items, "p50_ms": 0.5}
        | {"p99_ms": 2.0, "server_cpu": 0.9, "client_cpu": 0.1, "images_per_second": 1000, "failed": 0}
        | {"peak_mb": 300.0 if load in GROWTH else 120.0, "checked": 10, "wrong": 0}
        | vars(load)
        for plan in (BARS, PLAIN, {DIGITS: GROWTH})
        for server, planned in plan.items()
        for load in planned
    ]
    loads += [
        {"server": LIMIT, "kind": kind, "items": items, "work": "robust", "images_per_second": 2000, "server_cpu": 1.0}
        for kind, items in (("28", 1), ("64", 64))
    ]
    faster = [load | {"images_per_second": 2 * load["images_per_second"]} for load in loads]
    return {
        "machine": dict.fromkeys(
            ("machine", "load_before", "python", "onnxruntime", "service", "commit", "date"), "test"
        )
        | {"rounds": 2, "seconds": 1, "pictures": 10, "minutes": 1.5}
        | {"model": {"name": "digits", "version": "1.2.3", "sha256": "ab" * 32}},
        "loads": [load | {"round": 0} for load in loads] + [load | {"round": 1} for load in faster],
        "reading": [{"round": 0, "naive_us": 100.0, "robust_us": 150.0}],
        "probes": [{"p99_ms": 12.0}],
    }


def test_ratios_are_taken_within_rounds_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = written(tmp_path, results())
    table = capsys.readouterr().out
    assert "by mosec with batches of 16 | >= 0.85 | 1 | 1 to 1 | kept |" in table
    assert "the same by BentoML | >= 3 | 1 | 1 to 1 | **missed** |" in table
    assert "64 cells, images/s, by the limit in process | >= 0.85 | 0.5 | 0.5 to 0.5 | **missed** |" in table
    assert "by a naive one | <= 2 | 1.5 | 1.5 to 1.5 | kept |" in table
    assert "two workers by one, on two cores with the generator | >= 1.7 | not measured | | |" in table
    assert table.strip() in document
    assert "| digits, form, 16 connections | 1500 | 1000 to 2000 |" in document


def written(tmp_path: Path, measured: dict) -> str:
    (tmp_path / "results.json").write_text(json.dumps(measured))
    status = report.main([str(tmp_path / "results.json"), "--output", str(tmp_path / "performance.md")])
    assert status == any(row.get("wrong") or row.get("failed") for row in measured["loads"])
    return (tmp_path / "performance.md").read_text()


def test_cost_is_told_as_work_grows(tmp_path: Path) -> None:
    workers = [row | {"workers": count} for count in (1, 2) for row in results()["loads"][:1]]
    document = written(tmp_path, results() | {"workers": workers})
    section = document.split("## Cost as work grows")[1].split("\n## ")[0]
    told = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")]
    assert told == [
        *("workers", "1", "2"),
        *("connections", "1", "16", "64"),
        *("pictures in a batch", "1", "16", "64", "256"),
        *("pixels along a side of a picture", "28", "64", "300"),
    ]
    assert "peak memory of a worker, MB | <= 180 | 120 |" in document


def test_two_workers_are_told_beside_what_the_machine_leaves_to_two_processes(tmp_path: Path) -> None:
    workers = [row | {"workers": count} for count in (1, 2) for row in results()["loads"][:1]]
    paces = {0: (1000.0, 1500.0), 1: (1000.0, 1900.0), 2: (2000.0, 3500.0)}
    scaling = [
        {"round": number, "processes": count, "images_per_second": pace}
        for number, both in paces.items()
        for count, pace in enumerate(both, start=1)
    ]
    document = written(tmp_path, results() | {"workers": workers, "scaling": scaling})
    assert "read 1.75 times as much as one alone (1.50 to 1.90 in the rounds)" in document


def test_what_was_not_measured_is_not_told(tmp_path: Path) -> None:
    measured = results()
    measured["loads"] = [row for row in measured["loads"] if row["server"] == LIMIT]
    del measured["machine"]["model"], measured["machine"]["minutes"]
    document = written(tmp_path, measured)
    assert "## Cost as work grows" not in document
    assert "were compared" not in document
    assert "with the model" not in document


def test_the_document_names_the_model(tmp_path: Path) -> None:
    assert "with the model digits 1.2.3 (SHA-256 `abababababababab`)" in written(tmp_path, results())
    record = json.loads((compare.ROOT / "models" / "digits.json").read_text())
    assert model() == {key: record[key] for key in ("name", "version", "sha256")}


def test_wrong_answers_and_failures_are_told(tmp_path: Path) -> None:
    measured = results()
    assert "0 were wrong. Of the measured requests 0 failed." in written(tmp_path, measured)
    [row, *_] = (row for row in measured["loads"] if vars(Load("raw")).items() <= row.items())
    row |= {"wrong": 2, "failed": 1}
    document = written(tmp_path, measured)
    assert "2 were wrong. Of the measured requests 1 failed." in document
    assert "- **digits, raw, 16 connections, 28x28, robust work, round 0: 1 failed, 2 wrong**" in document


@pytest.mark.skipif(not OUTPUT.exists(), reason="nothing was measured yet")
def test_the_document_is_written_from_the_results(tmp_path: Path) -> None:
    report.main(["--output", str(tmp_path / "performance.md")])
    assert (tmp_path / "performance.md").read_text() == (OUTPUT.parent / "performance.md").read_text()


@pytest.mark.parametrize("form", ["raw", "form", "JSON"])
def test_each_picture_is_in_a_body_of_its_form(form: str, tmp_path: Path) -> None:
    paths = []
    for digit in range(8):
        paths.append(tmp_path / f"{digit:05}-{digit}.png")
        paths[-1].write_bytes(pictures.png(digit))
    items = 1 if form == "raw" else 4
    bodies = write_bodies(paths, form, items, tmp_path / "bodies")
    sent = []
    for name in bodies.listing.read_text().split():
        body = parse(bodies.content_type, Path(name).read_bytes(), LIMITS)
        sent += [one(body, LIMITS)] if items == 1 else [upload.source for upload in many(body, LIMITS)]
    assert sent == [path.read_bytes() for path in paths]
    assert [label for labels in bodies.labels for label in labels] == list(range(8))


# A parent that starts a worker in a session of its own, which computes and says so, as BentoML's do.
WORKER = "import time\nwhile time.process_time() < 0.3: pass\nprint('worked', flush=True)\ntime.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WORKER!r}], start_new_session=True).wait()"


def test_workers_in_sessions_of_their_own_are_counted_and_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, start_new_session=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"worked\n"
        usage = Usage(parent.pid)
        assert len(usage.processes()) == 2
        assert usage.cpu_seconds() >= 0.3
        assert usage.peak_megabytes() > 10
        parent.kill()
        parent.wait()
        assert len(usage.processes()) == 1
        usage.kill()
        assert usage.processes() == []
        assert usage.cpu_seconds() >= 0.3


class Echo(BaseHTTPRequestHandler):
    """Reads each picture as the digit that its body ends with; one that ends with 9 fails."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        readings = [{"digit": int(line), "probabilities": [0.1] * 10} for line in sent.decode().split()]
        many = {"results": [{"prediction": reading} for reading in readings]}
        content = json.dumps(many if self.path.endswith("batch") else readings[0]).encode()
        self.send_response(503 if readings[0]["digit"] == 9 else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def numbers(folder: Path, digits: list[int], items: int = 1) -> Bodies:
    groups = [digits[start : start + items] for start in range(0, len(digits), items)]
    for index, group in enumerate(groups):
        (folder / str(index)).write_text("\n".join(map(str, group)))
    listing = folder / "listing.txt"
    listing.write_text("\n".join(str(folder / str(index)) for index in range(len(groups))))
    return Bodies(listing, groups, "text/plain")


@pytest.mark.parametrize(("items", "path"), [(1, "/predict"), (4, "/predict/batch")])
def test_each_answer_must_hold_the_digits_of_its_own_pictures(items: int, path: str, echo: str, tmp_path: Path) -> None:
    bodies = numbers(tmp_path, [1, 2, 3, 4, 5, 6, 7, 8], items)
    every = range(8 // items)
    assert count_wrong(echo + path, bodies, [1, 2, 3, 4, 5, 6, 7, 8], every, connections=3) == 0
    assert count_wrong(echo + path, bodies, [1, 2, 3, 4, 5, 6, 8, 7], every, connections=3) == 2
    assert count_wrong(echo + path, bodies, [1, 2, 3, 4, 5, 6, 8, 7], every[:1], connections=3) == 0


def test_answers_of_another_status_are_wrong_and_no_throughput(
    echo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = numbers(tmp_path, [1, 9])
    assert count_wrong(f"{echo}/predict", bodies, [1, 9], range(2), connections=2) == 1
    if shutil.which("wrk") is None:
        pytest.skip("needs wrk")
    monkeypatch.setattr(compare, "_URL", echo)
    result = compare.wrk(compare.DIGITS, "/predict", bodies, 2, 1)
    assert 0.4 < result["failed"] / result["requests"] < 0.6
    assert result["answered"] + result["failed"] == result["requests"]
    assert compare.is_spoiled({"failed": result["failed"], "wrong": 0})
    assert not compare.is_spoiled({"failed": 0, "wrong": 0})


def test_loads_of_which_much_is_under_way_at_the_end_are_measured_longer(tmp_path: Path) -> None:
    assert Load("raw", connections=64).seconds(3) == 3
    assert Load("JSON", items=16, connections=4).seconds(3) == 3
    assert Load("JSON", items=64, connections=4).seconds(3) == 9
    measured = results()
    assert "rounds of 1 s for each load, " in written(tmp_path, measured)
    measured["machine"]["longer"] = {"seconds": 9, "pictures": 128}
    told = "rounds of 1 s for each load (9 s where more than 128 pictures are under way at the end, which are not counted), "
    assert told in written(tmp_path, measured)


def test_the_server_that_only_uses_up_time_uses_it_up_for_each_request() -> None:
    async def ask(times: int) -> float:
        steps = spin.steps_in(spin.WORK_SECONDS)
        server = await asyncio.get_running_loop().create_server(lambda: spin.Spinner(steps), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        before = time.process_time()
        for _ in range(times):
            writer.write(b"POST /predict HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
            writer.write(b"abc")
            assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 OK\r\n")
        used = time.process_time() - before
        writer.close()
        server.close()
        return used

    # What a step takes wanders with the machine, by less than a half.
    assert uvloop.run(ask(200)) > 200 * spin.WORK_SECONDS / 2


def test_a_server_whose_port_is_taken_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(servers, "PORT", taken.getsockname()[1])
        monkeypatch.setattr(servers, "PORT_SECONDS", 0.2)
        with pytest.raises(RuntimeError, match="already"), servers.running(DIGITS):
            pass


def drifting(growth: float) -> np.ndarray:
    """Latencies around a millisecond, with a long tail and a pace that wanders by some percent, which grow over the run."""
    rng = np.random.default_rng(0)
    wander = np.repeat(np.convolve(rng.normal(0, 0.02, 119), np.ones(20) / 20**0.5, "valid"), 500)
    return 0.001 * rng.lognormal(0, 0.4, 50_000) * (1 + wander) * np.linspace(1, 1 + growth, 50_000)


@pytest.mark.parametrize(("growth", "grows"), [(0.0, False), (0.3, True), (-0.3, False)])
def test_latency_that_grows_is_told_from_a_pace_that_wanders(growth: float, grows: bool) -> None:
    latency = soak.summarize(drifting(growth))
    assert latency.grows == grows
    assert latency.growth == pytest.approx(growth, abs=0.1)
    assert latency.p50_ms[1] / latency.p50_ms[0] == pytest.approx(1 + growth, abs=0.1)
    assert latency.p99_ms[0] > 2 * latency.p50_ms[0]


def test_a_soak_times_the_requests_it_is_told_to(echo: str) -> None:
    requests = [raw_request(f"{echo}/predict", str(digit).encode()) for digit in range(1, 5)]
    loop = soak.TimedLoop(f"{echo}/predict", requests, {requests[1]}, 2)
    asyncio.run(loop.run(requests=40))
    assert loop.done >= 40
    assert len(loop.latencies) == pytest.approx(loop.done / 4, abs=1)
    assert all(0 < latency < 10 for latency in loop.latencies)
    assert list(loop.answers_before) == sorted(loop.answers_before)


def test_the_profile_names_no_command_and_no_path_of_the_machine_it_was_drawn_on() -> None:
    drawn = (OUTPUT.parent / "performance-profile.svg").read_text()
    assert ">Where the time goes</text>" in drawn
    assert "--pid" not in drawn
