"""What is kept for calls with an Idempotency-Key."""

from __future__ import annotations

from gateway.settings.env import env

# Bytes; longer answers are charged once all the same, but cannot be given again. 0: no answer is kept.
IDEMPOTENCY_KEEP_BYTES = env.int("IDEMPOTENCY_KEEP_BYTES", default=1024 * 1024)
