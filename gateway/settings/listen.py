"""Where `serve` listens, by environment."""

from __future__ import annotations

from gateway.settings.env import env

HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=7861)
WORKERS = env.int("WORKERS", default=1)
FORWARDED_ALLOW_IPS = env.str("FORWARDED_ALLOW_IPS", default="127.0.0.1")
