"""The service keeps what its OpenAPI document says, whatever Schemathesis makes of it: valid, invalid, in any order.

`OPENAPI_EXAMPLES=150` makes it 2,000 cases and more, over several minutes; see CONTRIBUTING.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema

from service.app import create_app
from service.settings import Settings
from tests.processes import serving

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "12"))
CASES = 2000 if EXAMPLES >= 150 else 400
SECONDS = 3600
ROOT = Path(__file__).parent.parent


def test_no_case_that_the_document_allows_or_forbids_is_answered_otherwise(tmp_path: Path) -> None:
    with serving(DIGITS_API_KEYS="a-key") as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "tests" / "schemathesis.toml")),
                *("run", f"{server.url}/openapi.json", "--checks", "all", "--max-examples", str(EXAMPLES)),
                *("--seed", "7", "--no-color", "--generation-database", "none"),
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"(\d+) generated", done.stdout)
    assert found is not None
    print(f"Schemathesis: {found[1]} cases, none failed")
    assert int(found[1]) >= CASES
    assert not [line for line in server.log if "Traceback" in line]


def test_every_answer_and_every_json_body_has_an_example_that_its_schema_allows() -> None:
    document = json.loads(json.dumps(create_app(Settings.from_env({})).openapi()))
    checked = 0
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, carrier in {"body": operation.get("requestBody", {}), **operation["responses"]}.items():
                for media_type, content in carrier.get("content", {}).items():
                    if media_type.endswith("json"):
                        schema = content["schema"] | {"components": document["components"]}
                        jsonschema.validate(content["example"], schema)
                        assert content["example"], (path, status)
                        checked += 1
    assert checked > 100


def test_every_status_says_what_is_sent_beside_it() -> None:
    for operations in create_app(Settings.from_env({})).openapi()["paths"].values():
        for operation in operations.values():
            assert {"200", "500"} <= operation["responses"].keys()
            for status, response in operation["responses"].items():
                assert "X-Request-ID" in response["headers"]
                assert ("Retry-After" in response["headers"]) == (status in ("429", "503"))
