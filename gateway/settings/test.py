"""The settings of the tests: the same house, only fast, and deaf to the machine's own environment."""

from __future__ import annotations

import os
import tempfile

os.environ["ENV_FILE"] = ""  # noqa: TID251 - before env.py looks for the developer's file
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="wellspring-test-")  # noqa: TID251
for _name in (
    "REDIS_URL",
    "PASSWORD",
    "API_PASSWORD",
    "PANEL_PASSWORD",
    "OPERATOR_PASSWORD",
    "PROXY",
):
    os.environ.pop(_name, None)  # noqa: TID251
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "sqlite://:memory:")  # noqa: TID251

from gateway.settings.base import *  # noqa: E402, F403

# The test runner makes and drops databases itself.
DATABASES["default"].get("OPTIONS", {}).pop("pool", None)  # noqa: F405
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CELERY_TASK_ALWAYS_EAGER = True
# All tests come from one address, and the same few people ask all day.
API_THROTTLE_ANON = API_THROTTLE_USER = API_WRONG_TOKENS = 0
