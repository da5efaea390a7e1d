"""How long the request log and the sums of it are kept."""

from __future__ import annotations

from gateway.settings.env import env

# Days; 0: for ever.
REQUEST_RETENTION_DAYS = env.int("REQUEST_RETENTION_DAYS", default=30)
USAGE_HOUR_RETENTION_DAYS = env.int("USAGE_HOUR_RETENTION_DAYS", default=400)
# The hours of single keys, people and credentials; their days stay. Never 0: there may be thousands of rows an hour.
USAGE_DETAIL_DAYS = env.int("USAGE_DETAIL_DAYS", default=8)
