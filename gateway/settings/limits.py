"""How long calls wait for a limit, and how often a stranger may try keys."""

from __future__ import annotations

from gateway.settings.env import env

LIMIT_WAIT_S = env.float("LIMIT_WAIT_S", default=15.0)
LIMIT_QUEUE_LENGTH = env.int("LIMIT_QUEUE_LENGTH", default=20)
WRONG_KEYS_PER_MINUTE = env.int("WRONG_KEYS_PER_MINUTE", default=60)
