"""The whole management API, asked by a program that knows nothing but its schema: schemathesis, as an operator, on a real server.

Everything it makes up is answered in words, by a documented status, and in the documented shape. Run it longer by hand with
SCHEMATHESIS_EXAMPLES=200.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "4"))  # noqa: TID251
PHASES = os.environ.get("SCHEMATHESIS_PHASES", "examples,fuzzing")  # noqa: TID251
SEED = 20261120
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory, google):
    """Of its own: afterwards it is full of nonsense."""
    google.reset()
    google.add_client(*Gateway.oauth_client)
    site = Gateway(
        tmp_path_factory.mktemp("schema"),
        google,
        # Each would be over after a few tries of this one address.
        LENDING_ATTEMPTS_PER_HOUR="1000000",
        WRONG_CODES_PER_HOUR="1000000",
        WRONG_KEYS_PER_MINUTE="1000000",
    )
    try:
        site.set_up()
        yield site
    finally:
        site.stop()


@pytest.mark.timeout(3600 if EXAMPLES > 10 else 400)
def test_nothing_that_fits_the_schema_or_does_not_breaks_the_api(site, tmp_path):
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{site.url}/api/schema/?format=json",
            f"--header=Authorization: Bearer {site.panel_password}",
            f"--checks={','.join(CHECKS)}",
            f"--phases={PHASES}",
            f"--max-examples={EXAMPLES}",
            f"--seed={SEED}",
            "--generation-deterministic",
            "--continue-on-failure",
            "--suppress-health-check=all",
            "--request-timeout=60",
            "--warnings=off",
            "--no-color",
            "--report=json",
            f"--report-json-path={report}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.replace(site.panel_password, "…")
    print(said[-4000:])  # noqa: T201 - the counts
    assert "Traceback" not in (log := site.log.read_text(errors="replace")), log[-6000:]
    assert done.returncode == 0, said[-20_000:] + done.stderr[-2000:]
    assert json.loads(report.read_text())
