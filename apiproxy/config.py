"""The proxy's settings as one frozen value, made once when a process starts."""

from __future__ import annotations

from django.conf import settings
from msgspec import Struct

from apiproxy.shaping import Site
from apiproxy.wire.types import Endpoints, ImageDelivery, ImageStyle


class ProxyConfig(Struct, frozen=True):
    endpoints: Endpoints
    api_password: str
    upstream_proxy: str
    auto_ban_statuses: frozenset[int]
    max_attempts: int
    retry_interval_s: float
    calls_per_rotation: int
    site: Site
    list_variants: bool
    show_thoughts: bool
    chat_images: ImageStyle
    chat_image_delivery: ImageDelivery
    default_chat_model: str
    default_image_model: str
    public_url: str
    trusted_proxies: str
    allowed_hosts: tuple[str, ...]
    image_retention_s: float
    max_body_bytes: int
    response_retention_s: float
    signature_ttl_s: float
    connect_timeout_s: float
    read_timeout_s: float
    max_connections: int
    keepalive_s: float
    fake_stream_keepalive_s: float
    fetch_private_hosts: frozenset[str]
    fetch_max_bytes: int
    fetch_timeout_s: float
    feed_interval_s: float
    beat_s: float
    holder_lease_s: float
    idempotency_keep_bytes: int
    limit_wait_s: float
    limit_queue_length: int
    wrong_keys_per_minute: int
    redis_url: str

    def __repr__(self) -> str:
        return "ProxyConfig(…)"


def from_settings() -> ProxyConfig:
    return ProxyConfig(
        endpoints=Endpoints(
            gemini_api=settings.GEMINI_API_URL.rstrip("/"),
            code_assist=settings.CODE_ASSIST_ENDPOINT.rstrip("/"),
            resource_manager=settings.RESOURCE_MANAGER_API_URL.rstrip("/"),
            service_usage=settings.SERVICE_USAGE_API_URL.rstrip("/"),
            cloud_ai_companion=settings.CLOUD_AI_COMPANION_API_URL.rstrip("/"),
        ),
        api_password=settings.API_PASSWORD,
        upstream_proxy=settings.UPSTREAM_PROXY,
        auto_ban_statuses=frozenset(settings.AUTO_BAN_ERROR_CODES if settings.AUTO_BAN else ()),
        max_attempts=1 + (settings.RETRY_429_MAX_RETRIES if settings.RETRY_429_ENABLED else 0),
        retry_interval_s=settings.RETRY_429_INTERVAL_S,
        calls_per_rotation=settings.CALLS_PER_ROTATION,
        site=Site(
            safety_default=settings.SAFETY_DEFAULT,
            compatibility=settings.COMPATIBILITY_MODE,
            attempts=settings.ANTI_TRUNCATION_MAX_ATTEMPTS,
        ),
        list_variants=settings.LIST_VARIANTS,
        show_thoughts=settings.RETURN_THOUGHTS_TO_FRONTEND,
        chat_images="images" if settings.CHAT_IMAGES == "images" else "markdown",
        chat_image_delivery="url" if settings.CHAT_IMAGES == "url" else "inline",
        default_chat_model=settings.DEFAULT_CHAT_MODEL,
        default_image_model=settings.DEFAULT_IMAGE_MODEL,
        public_url=settings.PUBLIC_URL,
        trusted_proxies=settings.TRUSTED_PROXIES,
        allowed_hosts=tuple(settings.ALLOWED_HOSTS),
        image_retention_s=settings.MEDIA_RETENTION_HOURS * 3600,
        max_body_bytes=settings.MAX_BODY_BYTES,
        response_retention_s=settings.RESPONSE_RETENTION_HOURS * 3600,
        signature_ttl_s=settings.SIGNATURE_TTL_HOURS * 3600,
        connect_timeout_s=settings.UPSTREAM_CONNECT_TIMEOUT_S,
        read_timeout_s=settings.UPSTREAM_READ_TIMEOUT_S,
        max_connections=settings.UPSTREAM_MAX_CONNECTIONS,
        keepalive_s=settings.KEEPALIVE_INTERVAL_S,
        fake_stream_keepalive_s=settings.FAKE_STREAM_KEEPALIVE_S,
        fetch_private_hosts=frozenset(settings.FETCH_PRIVATE_HOSTS),
        fetch_max_bytes=settings.FETCH_MAX_BYTES,
        fetch_timeout_s=settings.FETCH_TIMEOUT_S,
        feed_interval_s=settings.FEED_INTERVAL_S,
        # Several beats fit into a lease: one that comes late is not a death.
        beat_s=min(5.0, settings.HOLDER_LEASE_S / 4),
        holder_lease_s=settings.HOLDER_LEASE_S,
        idempotency_keep_bytes=settings.IDEMPOTENCY_KEEP_BYTES,
        limit_wait_s=settings.LIMIT_WAIT_S,
        limit_queue_length=settings.LIMIT_QUEUE_LENGTH,
        wrong_keys_per_minute=settings.WRONG_KEYS_PER_MINUTE,
        redis_url=settings.REDIS_URL,
    )
