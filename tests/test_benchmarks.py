"""The benchmark's document says what its results say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.bodies import write_bodies
from benchmarks.compare import BARS, LIMIT, OUTPUT, PLAIN
from benchmarks.servers import Usage
from service.limits import Limits
from service.uploads import many, one, parse
from tests import pictures

LIMITS = Limits(image_bytes=10**6, batch_bytes=10**7, unpacked_bytes=10**7, batch_items=64)


def results() -> dict:
    """Two rounds in which every server does 1,000 images a second, in the second round twice as many."""
    loads = [
        {"server": server.name, "start_seconds": 1.5, "requests_per_second": 1000 / load.items, "p50_ms": 0.5}
        | {"p99_ms": 2.0, "server_cpu": 0.9, "client_cpu": 0.1, "peak_mb": 120.0, "images_per_second": 1000}
        | vars(load)
        for plan in (BARS, PLAIN)
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
        | {"rounds": 2, "seconds": 1, "pictures": 10},
        "loads": [load | {"round": 0} for load in loads] + [load | {"round": 1} for load in faster],
        "reading": [{"round": 0, "naive_us": 100.0, "robust_us": 150.0}],
        "probes": [{"p99_ms": 12.0}],
    }


def test_ratios_are_taken_within_rounds_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_text(json.dumps(results()))
    report.main([str(tmp_path / "results.json"), "--output", str(tmp_path / "performance.md")])
    table = capsys.readouterr().out
    assert "by mosec with batches of 16 | >= 0.85 | 1 | 1 to 1 | kept |" in table
    assert "the same by BentoML | >= 3 | 1 | 1 to 1 | **missed** |" in table
    assert "64 cells, images/s, by the limit in process | >= 0.85 | 0.5 | 0.5 to 0.5 | **missed** |" in table
    assert "by a naive one | <= 2 | 1.5 | 1.5 to 1.5 | kept |" in table
    assert "two workers by one, on two cores with the generator | >= 1.7 | not measured | | |" in table
    document = (tmp_path / "performance.md").read_text()
    assert table.strip() in document
    assert "| digits, form, 16 connections | 1500 | 1000 to 2000 |" in document


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
