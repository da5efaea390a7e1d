"""The management API: who may ask it how often, and how it describes itself."""

from __future__ import annotations

from typing import Any

from gateway.settings.env import env

# Names that the environment sets. What an operator could change otherwise, it locks.
FIXED_BY_ENVIRONMENT = frozenset(name for name, value in env.ENVIRON.items() if value)
# TOML; what it says takes the place of the defaults of what operators may change.
CONFIG_FILE = env.str("CONFIG_FILE", default="")

# Requests a minute; 0: no bound.
API_THROTTLE_ANON = env.int("API_THROTTLE_ANON", default=60)
API_THROTTLE_USER = env.int("API_THROTTLE_USER", default=1200)
API_WRONG_TOKENS = env.int("API_WRONG_TOKENS", default=10)

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",
        "accounts.authentication.PanelPasswordAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["gateway.lib.access.IsOperator"],
    "DEFAULT_THROTTLE_CLASSES": ["gateway.lib.throttles.PerMinute"],
    "DEFAULT_SCHEMA_CLASS": "gateway.lib.schema.Described",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["gateway.lib.parsers.JSON"],
    "EXCEPTION_HANDLER": "gateway.lib.api.exception_handler",
}

DESCRIPTION = """\
Everything that the pages of this gateway do, for scripts. Sign in by the session of a browser, or send
`Authorization: Bearer` with a token of `POST /api/tokens` or with the panel password.

* A token has scopes such as `keys:read` or `credentials:write` (which reads too); the resource is the tag below. It never
  may more than its owner.
* Lists come newest first, page by page: `next` is the address of the next page, `null` at the end.
* Credits are strings with up to six decimal places; fields that end in `_micros` are millionths of a credit.
* Errors are `{"detail": words, "code": word}`, or the words by field. 429 says in `Retry-After` when to come back.
* Every change is kept in the audit log, with what was before and after.
"""
