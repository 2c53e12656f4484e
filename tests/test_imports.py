"""Who may import whom: the light side never imports the heavy side, and nobody imports in a circle."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"training", "tensorflow", "keras", "tf2onnx", "onnx", "sklearn", "scipy", "matplotlib", "cv2", "tqdm"}
CORE = ("reader", "images", "ink", "preprocessing", "classifier", "decisions")
# What a request is made of; the core reads pictures wherever it is called from.
EDGE = {"fastapi", "starlette", "uvicorn", "pydantic", "prometheus_client", "service.settings", "service.routes"}
# The parts of the service that training measures through.
SHARED = {f"service.{name}" for name in (*CORE, "errors", "fields")}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def below(names: set[str], forbidden: set[str]) -> set[str]:
    return {name for name in names for module in forbidden if name == module or name.startswith(f"{module}.")}


@pytest.mark.parametrize("path", files("service"), ids=lambda path: path.name)
def test_the_service_imports_nothing_heavy(path: Path) -> None:
    assert not below(imported(path), HEAVY)


@pytest.mark.parametrize("name", CORE)
def test_the_core_knows_neither_http_nor_settings(name: str) -> None:
    """Nor do the modules that it is made of."""
    pending, seen = {name}, set[str]()
    while pending:
        module = pending.pop()
        seen.add(module)
        path = ROOT / "service" / f"{module}.py"
        assert not below(imported(path), EDGE), module
        assert "os.environ" not in path.read_text(encoding="utf-8"), module
        ours = {part.split(".")[1] for part in imported(path) if part.startswith("service.")}
        pending |= {part for part in ours if (ROOT / "service" / f"{part}.py").exists()} - seen


@pytest.mark.parametrize("path", files("training"), ids=lambda path: path.name)
def test_training_uses_only_the_core_of_the_service(path: Path) -> None:
    used = {
        ".".join(name.split(".")[:2]) if name != "service" else name
        for name in imported(path)
        if name.split(".")[0] == "service" and name != "service"
    }
    assert used <= SHARED


@pytest.mark.parametrize("package", ["service", "training"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    """Not even through an import inside a function."""
    graph = {".".join(path.relative_to(ROOT).with_suffix("").parts): imported(path) for path in files(package)}
    ours = {module: names & graph.keys() for module, names in graph.items()}
    assert len(list(TopologicalSorter(ours).static_order())) == len(graph) > 20


def test_environment_is_read_in_one_place() -> None:
    """The two writers hand on what was read: telemetry off, and the settings to the workers."""
    readers = {path.name for path in files("service") if "os.environ" in path.read_text(encoding="utf-8")}
    assert readers == {"settings.py", "__init__.py", "server.py", "metrics.py"}


def test_serving_loads_nothing_heavy() -> None:
    code = (
        "import sys, service.app, service.server, service.cli; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not HEAVY & set(done.stdout.split())
