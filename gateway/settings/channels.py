"""The channel layer of the live pages: Redis when there is one, else inside the process."""

from __future__ import annotations

from typing import Any

from gateway.settings.env import env

REDIS_URL = env.str("REDIS_URL", default="")

CHANNEL_LAYERS: dict[str, dict[str, Any]]
CACHES: dict[str, dict[str, Any]]

if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
    }
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            # Counters of addresses lie in it, and strangers have many.
            "OPTIONS": {"MAX_ENTRIES": 20_000},
        }
    }
