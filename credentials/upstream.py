"""What this app asks of the upstreams themselves. The proxy knows how to ask them, and this app must not import it: so the
questions stand here, and `apiproxy` answers them (apiproxy/answers.py, put in place when it starts).

Everything here blocks, for up to a minute; not for use inside a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class Finding(Struct, frozen=True):
    """`verdict`: works, needs licence, retired by Google for individual accounts, revoked, needs verification,
    rate-limited, unreachable, banned by Google, misconfigured, not served from here, unreadable … `usable`: also for one
    that only rests. `detail` says what to do, in words for people; `help_url` is where."""

    credential_id: int
    label: str
    verdict: str
    usable: bool
    detail: str = ""
    help_url: str = ""


class SetUpResult(Struct, frozen=True):
    """`project` is "" and `words` say why when none was found."""

    project: str = ""
    tier: str = ""
    words: str = ""
    help_url: str = ""


class Bucket(Struct, frozen=True):
    """Reference 2.9. `remaining_calls` None: only the fraction is told. `resets_at` None: not told. `barred`: the account
    cannot use the model."""

    model: str
    remaining_fraction: float
    remaining_calls: int | None = None
    resets_at: datetime | None = None
    barred: bool = False


class Upstream(Protocol):
    def check(self, credential_ids: Sequence[int]) -> list[Finding]:
        """Tries each with one tiny call, as a client's would go, and records what was found."""
        ...

    def projects(self, credential_id: int) -> list[str]:
        """The active Cloud projects of a Google account. Raises GatewayError."""
        ...

    def set_up(self, credential_id: int, project: str = "") -> SetUpResult:
        """Finds (or takes) the project, joins the tier, enables the services, and stores project and tier. Raises
        GatewayError when Google cannot be asked."""
        ...

    def quota(self, credential_id: int) -> list[Bucket]:
        """Empty for a provider without such a look-up. Raises GatewayError."""
        ...

    def enable_preview(self, credential_id: int) -> str:
        """Joins the preview channel (reference 1.8); "" when done, else why not. Raises GatewayError."""
        ...


_upstream: Upstream | None = None


def use(upstream: Upstream) -> None:
    global _upstream
    _upstream = upstream


def current() -> Upstream:
    if _upstream is None:
        raise RuntimeError("nobody answers for the upstreams: apiproxy is not installed")
    return _upstream
