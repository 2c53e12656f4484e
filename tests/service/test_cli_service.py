"""`digits predict --url`: a service reads instead, and a thousand files come out the same either way."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import main
from service.errors import ServiceError
from service.reader import Reader, Reading, Source
from tests import pictures
from tests.processes import Server, serving
from tests.scripted import Refusal, scripted


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """999 pictures and a broken one in their midst."""
    folder = tmp_path_factory.mktemp("thousand")
    for index in range(1000):
        (folder / f"{index:03}.png").write_bytes(pictures.png(index % 10, size=56 + index % 50))
    (folder / "500.png").write_bytes(pictures.png(0)[:200])
    return folder


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_thousand_files_are_read_alike_here_and_by_the_service(
    server: Server, thousand: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--format", "jsonl", str(thousand)]) == 1
    here = rows(capsys)
    assert main(["predict", "--format", "jsonl", "--url", server.url, str(thousand)]) == 1
    there = rows(capsys)
    assert here == there
    assert [Path(str(row["path"])).name for row in here] == [f"{index:03}.png" for index in range(1000)]
    assert [index for index, row in enumerate(here) if "error" in row] == [500]
    assert sum(row.get("digit") == index % 10 for index, row in enumerate(here)) >= 990


def test_files_are_read_in_portions_that_share_a_run_of_the_network(
    thousand: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pace beside the reader alone is measured by `python -m benchmarks.command`."""
    sizes: list[int] = []
    read = Reader.read

    def counted(self: Reader, sources: list[Source], **options: float | None) -> list[Reading | ServiceError]:
        sizes.append(len(sources))
        return read(self, sources, **options)

    monkeypatch.setattr(Reader, "read", counted)
    assert main(["predict", "--format", "jsonl", str(thousand)]) == 1
    assert sum(sizes) == 1000
    assert len(sizes) <= 17


def test_a_busy_service_is_asked_again_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "7.png").write_bytes(pictures.png(7))
    with scripted(Refusal(429, retry_after="1")) as script:
        assert main(["predict", "--url", script.url, str(tmp_path)]) == 0
    assert "trying again in 1.0 s" in capsys.readouterr().err


def test_the_key_comes_from_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "7.png").write_bytes(pictures.png(7))
    with serving(DIGITS_API_KEYS="right") as server:
        assert main(["predict", "--url", server.url, str(tmp_path)]) == 2
        assert "set DIGITS_API_KEY" in capsys.readouterr().err
        monkeypatch.setenv("DIGITS_API_KEY", "right")
        assert main(["predict", "--url", server.url, str(tmp_path)]) == 0
        assert main(["info", "--url", server.url]) == 0
    assert '"name": "digits"' in capsys.readouterr().out


def test_thresholds_reach_the_service(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "7.png").write_bytes(pictures.png(7))
    main(["predict", "--format", "jsonl", "--accept-at", "1", "--url", server.url, str(tmp_path)])
    assert rows(capsys)[0]["decision"] == "review"


@pytest.mark.parametrize(
    ("url", "said"), [("ftp://x", "--url: 'ftp://x' is no address"), ("http://127.0.0.1:9", "does not answer")]
)
def test_a_service_that_cannot_be_asked_is_told_in_a_line(
    url: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    (tmp_path / "7.png").write_bytes(pictures.png(7))
    assert main(["predict", "--url", url, str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
