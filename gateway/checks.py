"""System checks: a missing or contradictory setting stops the boot, a doubtful one warns; each says what to do.

Django runs them before `serve`, `migrate` and most other commands.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from gateway.lib.credits import micros_or_nothing
from gateway.lib.proxies import check_proxy_url
from gateway.settings import listen
from gateway.settings.env import DATA_DIR

UPSTREAMS = (
    "GEMINI_API_URL",
    "CODE_ASSIST_ENDPOINT",
    "OAUTH_PROXY_URL",
    "GOOGLE_AUTH_URL",
    "GOOGLEAPIS_PROXY_URL",
    "RESOURCE_MANAGER_API_URL",
    "SERVICE_USAGE_API_URL",
)
POSITIVE = (
    "MAX_BODY_BYTES",
    "UPSTREAM_CONNECT_TIMEOUT_S",
    "UPSTREAM_READ_TIMEOUT_S",
    "UPSTREAM_MAX_CONNECTIONS",
    "KEEPALIVE_INTERVAL_S",
    "FAKE_STREAM_KEEPALIVE_S",
    "ANTI_TRUNCATION_MAX_ATTEMPTS",
    "FETCH_MAX_BYTES",
    "MEDIA_LINK_HOURS",
    "MEDIA_RETENTION_HOURS",
    "FETCH_TIMEOUT_S",
    "FEED_INTERVAL_S",
    "HOLDER_LEASE_S",
    "DRAIN_TIMEOUT_S",
    "WRONG_KEYS_PER_MINUTE",
)
SAFETY_THRESHOLDS = (
    "",
    "OFF",
    "BLOCK_NONE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_LOW_AND_ABOVE",
)
# Older gateways shipped with these, so anybody may try them.
WELL_KNOWN_PASSWORDS = {"pwd", "password", "admin", "123456", "changeme"}
# What Google answers to a client's own mistake, and to a credential that only needs rest.
HARMLESS_STATUSES = {400, 404, 413, 429}


@register()
def check_encryption_keys(**_: Any) -> Iterator[CheckMessage]:
    for number, key in enumerate(settings.ENCRYPTION_KEYS, 1):
        try:
            Fernet(key)
        except ValueError:
            yield Error(
                f"ENCRYPTION_KEYS: number {number} is not a Fernet key.",
                hint="A key is 32 random bytes in URL-safe base64. Make one with: "
                "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'",
                id="gateway.E001",
            )


@register()
def check_upstreams(**_: Any) -> Iterator[CheckMessage]:
    for name in UPSTREAMS:
        url = _split(getattr(settings, name))
        if url is None or url.scheme not in {"http", "https"} or url.query or url.fragment:
            yield Error(
                f"{name} is not an address of an upstream.",
                hint="Give scheme and host, and a path where there is one: https://mirror.example/google",
                id="gateway.E002",
            )


@register()
def check_proxy(**_: Any) -> Iterator[CheckMessage]:
    try:
        check_proxy_url(settings.UPSTREAM_PROXY)
    except ValueError as exc:
        yield Error(
            f"PROXY: {exc}",
            hint="Names are resolved by the proxy, with socks4 by this machine. Leave it out to go straight.",
            id="gateway.E003",
        )


@register()
def check_fetch_private_hosts(**_: Any) -> Iterator[CheckMessage]:
    for entry in settings.FETCH_PRIVATE_HOSTS:
        url = _split(f"//{entry}")
        if url is None or url.port is None or url.netloc != entry or "@" in entry:
            yield Error(
                f"FETCH_PRIVATE_HOSTS: {entry!r} is not host:port.",
                hint="Name each private host with the port that may be reached: files.lan:8080,10.0.0.5:80",
                id="gateway.E004",
            )


@register()
def check_numbers(**_: Any) -> Iterator[CheckMessage]:
    for name in POSITIVE:
        if getattr(settings, name) <= 0:
            yield Error(
                f"{name} must be above 0.", hint="Leave it out for the default.", id="gateway.E005"
            )
    if not 0 <= listen.PORT <= 65535:
        yield Error(
            "PORT must lie between 0 and 65535.", hint="The usual one is 7861.", id="gateway.E006"
        )


@register()
def check_waiting(**_: Any) -> Iterator[CheckMessage]:
    for name in ("LIMIT_WAIT_S", "LIMIT_QUEUE_LENGTH"):
        if getattr(settings, name) < 0:
            yield Error(
                f"{name} must not be below 0.",
                hint="0 refuses at once whoever is over a limit.",
                id="gateway.E060",
            )


@register()
def check_chat_images(**_: Any) -> Iterator[CheckMessage]:
    if settings.CHAT_IMAGES not in {"markdown", "images", "url"}:
        yield Error(
            "CHAT_IMAGES is neither markdown nor images nor url.",
            hint="markdown puts drawn images into the text, images into a field beside it, url a link into the text.",
            id="gateway.E010",
        )


@register()
def check_lending(**_: Any) -> Iterator[CheckMessage]:
    if settings.LENDING not in {"open", "invite", "members"}:
        yield Error(
            "LENDING is neither open nor invite nor members.",
            hint="open lets everybody lend at /auth, invite whoever has a code, members whoever is signed in.",
            id="gateway.E011",
        )
    if settings.LENDING == "invite" and not any(map(str.strip, settings.LENDING_INVITE_CODES)):
        yield Error(
            "LENDING is invite, and there is no code: nobody could lend.",
            hint="Set LENDING_INVITE_CODES, several by comma.",
            id="gateway.E012",
        )


@register()
def check_safety_default(**_: Any) -> Iterator[CheckMessage]:
    if settings.SAFETY_DEFAULT not in SAFETY_THRESHOLDS:
        yield Error(
            f"SAFETY_DEFAULT {settings.SAFETY_DEFAULT!r} is no threshold of Google's.",
            hint=f"One of {', '.join(filter(None, SAFETY_THRESHOLDS))}; leave it out for Google's own default.",
            id="gateway.E020",
        )


@register()
def check_usage_retention(**_: Any) -> Iterator[CheckMessage]:
    for name in ("REQUEST_RETENTION_DAYS", "USAGE_HOUR_RETENTION_DAYS"):
        if not 0 <= getattr(settings, name) <= 36_500:
            yield Error(
                f"{name} must lie between 0 and 36500 days.",
                hint="0 keeps them for ever; leave it out for the default.",
                id="gateway.E050",
            )
    # Yesterday's late calls have to find their hours.
    if not 2 <= settings.USAGE_DETAIL_DAYS <= 36_500:
        yield Error(
            "USAGE_DETAIL_DAYS must lie between 2 and 36500 days.",
            hint="The usual 8 lets charts show a week by the hour.",
            id="gateway.E051",
        )


@register()
def check_data_dir(**_: Any) -> Iterator[CheckMessage]:
    folder = DATA_DIR
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Error(
            f"DATA_DIR {DATA_DIR} cannot be written by this user.",
            hint="It holds database, keys, media and broker: give it to the user that runs the gateway.",
            id="gateway.E007",
        )


@register()
def check_redis_url(**_: Any) -> Iterator[CheckMessage]:
    url = _split(settings.REDIS_URL) if settings.REDIS_URL else None
    if settings.REDIS_URL and (url is None or url.scheme not in {"redis", "rediss"}):
        yield Error(
            "REDIS_URL is not redis://host:port/number.",
            hint="Use redis:// or, with TLS, rediss://. Leave it out for one host without Redis.",
            id="gateway.E008",
        )


@register()
def check_config_file(**_: Any) -> Iterator[CheckMessage]:
    for problem in settings.CONFIG_FILE_PROBLEMS:
        yield Error(
            f"CONFIG_FILE: {problem}",
            hint="It is TOML with the names of what operators may change while running: auto_ban = true. "
            "`GET /api/settings` lists them.",
            id="gateway.E040",
        )


@register()
def check_throttles(**_: Any) -> Iterator[CheckMessage]:
    for name in ("API_THROTTLE_ANON", "API_THROTTLE_USER", "API_WRONG_TOKENS"):
        if getattr(settings, name) < 0:
            yield Error(
                f"{name} must not be below 0.", hint="0 is without a bound.", id="gateway.E041"
            )


@register()
def check_debug(**_: Any) -> Iterator[CheckMessage]:
    if settings.DEBUG and not _is_loopback(listen.HOST):
        yield Error(
            f"DEBUG is on and HOST is {listen.HOST}: error pages would show the settings to the network.",
            hint="Set DEBUG=false, or HOST=127.0.0.1 while you look for the fault.",
            id="gateway.E009",
        )


@register()
def check_auto_ban(**_: Any) -> Iterator[CheckMessage]:
    doubtful = HARMLESS_STATUSES & set(settings.AUTO_BAN_ERROR_CODES)
    if settings.AUTO_BAN and doubtful:
        yield Warning(
            f"AUTO_BAN_ERROR_CODES holds {', '.join(map(str, sorted(doubtful)))}: "
            "a client's mistake, or a busy minute, would disable credentials for good.",
            hint="Keep to what says that a credential is dead: 401, 403.",
            id="gateway.W001",
        )


@register()
def check_passwords(**_: Any) -> Iterator[CheckMessage]:
    for name in ("API_PASSWORD", "PANEL_PASSWORD"):
        if getattr(settings, name).lower() in WELL_KNOWN_PASSWORDS:
            yield Warning(
                f"{name} is one that everybody tries first.",
                hint="Choose another; PASSWORD stands for both where they are not set.",
                id="gateway.W002",
            )


@register()
def check_scale_out(**_: Any) -> Iterator[CheckMessage]:
    if settings.REDIS_URL and settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield Warning(
            "REDIS_URL is set but the database is an SQLite file, which only one host can use.",
            hint="For several hosts set DATABASE_URL=postgresql://…; for one host both are fine.",
            id="gateway.W003",
        )


def _split(url: str) -> SplitResult | None:
    """None when the text is no URL with a host."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@register()
def check_rewards(**_: Any) -> Iterator[CheckMessage]:
    try:
        micros_or_nothing(settings.REWARD_CREDITS)
    except ValueError as exc:
        yield Error(
            f"REWARD_CREDITS: {exc}.",
            hint="Such as 0.5, for each call that a lent credential has served; 0 for none.",
            id="gateway.E042",
        )


@register()
def check_people(**_: Any) -> Iterator[CheckMessage]:
    if settings.SIGN_UP not in ("open", "invite", "closed"):
        yield Error(
            f"SIGN_UP={settings.SIGN_UP} is none of open, invite, closed.",
            hint="invite: whoever has an invitation of an operator.",
            id="gateway.E043",
        )
    for name in (
        "SIGN_IN_FAILURES_BY_ADDRESS",
        "SIGN_IN_FAILURES_BY_ACCOUNT",
        "SIGN_UPS_BY_ADDRESS",
    ):
        if getattr(settings, name) < 1:
            yield Error(f"{name} must be above 0.", hint="Leave it out.", id="gateway.E044")
    for names, on in (
        (("OIDC_SERVER_URL", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"), settings.OIDC_CONFIGURED),
        (("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"), settings.GITHUB_CONFIGURED),
    ):
        if not on and any(getattr(settings, name) for name in names):
            missing = ", ".join(name for name in names if not getattr(settings, name))
            yield Error(
                f"{missing}: empty, while the others of {', '.join(names)} are set.",
                hint="Set all of them, or none.",
                id="gateway.E045",
            )
