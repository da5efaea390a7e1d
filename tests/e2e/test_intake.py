"""Imports as an operator makes them: from the environment at the start, and thousands of files past a killed worker."""

from __future__ import annotations

import json
import signal

import httpx
import psutil
import pytest

from tests.e2e import mixed
from tests.e2e.gateway import Gateway
from tests.e2e.processes import eventually
from tests.e2e.test_credentials import as_gcli2api

FILES = 2_000

# A lease ends after half a minute; here time passes at once.
_TIME_PASSES = """
from datetime import timedelta
from django.utils import timezone
from gateway.lib.jobs import Job
print(Job.objects.filter(state="running").update(lease_until=timezone.now() - timedelta(seconds=1)))
"""


@pytest.fixture
def site(tmp_path, google):
    site = Gateway(
        tmp_path,
        google,
        AUTO_LOAD_ENV_CREDS="true",
        GCLI_CREDS_1=json.dumps(as_gcli2api(mixed.login(999_001))),
        GCLI_CREDS_HOME=json.dumps(as_gcli2api(mixed.login(999_002))),
    )
    try:
        site.set_up()
        yield site
    finally:
        site.stop()


@pytest.fixture
def operator(site):
    with httpx.Client(
        base_url=site.url,
        headers={"Authorization": f"Bearer {site.panel_password}"},
        timeout=60,
        trust_env=False,
    ) as client:
        yield client


def worker_of(site) -> psutil.Process:
    children = psutil.Process(site.serve.process.pid).children(recursive=True)
    (worker,) = [child for child in children if "gateway.worker" in child.cmdline()]
    return worker


def test_the_environment_is_loaded_and_a_killed_worker_costs_no_import(site, operator):
    status = "/auth/env-creds-status"
    eventually(
        lambda: operator.get(status).json()["existing_env_files_count"] == 2,
        "what the environment holds is in the pool",
        timeout_s=30,
    )

    files = [("files", (name.replace("/", "-"), data)) for name, data in mixed.files(FILES)]
    answer = operator.post("/api/imports", files=files)
    assert answer.status_code == 201, answer.text
    foreseen = answer.json()
    assert sum(foreseen["counts"].values()) >= FILES
    assert operator.get("/api/credentials").json()["count"] == 2

    confirmed = operator.post(f"/api/imports/{foreseen['id']}/confirm").json()
    job = f"/api/jobs/{confirmed['job']}"
    eventually(lambda: operator.get(job).json()["done"] >= 100, "it has begun", timeout_s=30)
    worker_of(site).send_signal(signal.SIGKILL)
    site.manage("shell", "--verbosity", "0", "-c", _TIME_PASSES)

    eventually(lambda: operator.get(job).json()["state"] == "done", "it is over", timeout_s=90)
    told = operator.get(f"/api/imports/{foreseen['id']}").json()
    assert told["state"] == "done"
    assert sum(told["counts"].values()) == sum(foreseen["counts"].values())
    assert told["counts"]["unusable"] == foreseen["counts"]["unusable"]
    assert operator.get("/api/credentials").json()["count"] == 2 + told["counts"]["new"]
    assert told["counts"]["new"] == foreseen["counts"]["new"]
