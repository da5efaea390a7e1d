"""Cookies of a site that is reached by TLS."""

import os
import subprocess
import sys

import pytest

_TOLD = (
    "from django.conf import settings;"
    "print(settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE)"
)


@pytest.mark.parametrize(
    ("public_url", "secure"),
    [("https://gateway.example", True), ("http://gateway.lan", False), ("", False)],
)
def test_they_travel_by_tls_alone(tmp_path, public_url, secure):
    env = {
        "PATH": os.environ["PATH"],  # noqa: TID251
        "DJANGO_SETTINGS_MODULE": "gateway.settings.base",
        "ENV_FILE": "",
        "DATA_DIR": str(tmp_path),
        "PUBLIC_URL": public_url,
    }
    done = subprocess.run(
        [sys.executable, "-c", _TOLD], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(secure)] * 2
