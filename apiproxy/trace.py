"""What is remembered of one call while it runs; the request log's row is made from it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from apiproxy.wire.types import Usage, Verdict


class Attempt(Struct):
    """One try with one credential. `outcome`: ok, a verdict's kind, or client_gone."""

    credential_id: int
    provider: str
    status: int = 0
    outcome: str = ""
    reason: str = ""
    ms: int = 0
    verdict: Verdict | None = None


class Skip(Struct, frozen=True):
    """A credential that was next but did not get its permit (apiproxy/permits.py): no attempt was made with it."""

    credential_id: int
    provider: str
    reason: str
    """cap_reached, being_tried"""


class Trace(Struct):
    request_id: str
    started_at: float
    """Epoch seconds."""
    started: float
    """The monotonic clock, for durations."""
    dialect: str
    key_id: int | None = None
    owner_id: int | None = None
    group_id: int | None = None
    tariff: str = ""
    action: str = ""
    model: str = ""
    requested_model: str = ""
    """As the client wrote it: with its variants, or an alias."""
    features: tuple[str, ...] = ()
    """What its price may be multiplied for."""
    stream: bool = False
    attempts: list[Attempt] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    usage: Usage = Usage()
    status: int = 200
    error_code: str = ""
    error: str = ""
    cost_micros: int = 0
    answers: int = 1
    broken: bool = False
    """See `admission.Outcome`."""
    waited_ms: int = 0
    """In the queue of a limit."""
    first_byte_ms: int | None = None
    duration_ms: int = 0

    @property
    def provider(self) -> str:
        return self.attempts[-1].provider if self.attempts else ""

    @property
    def credential_id(self) -> int | None:
        return self.attempts[-1].credential_id or None if self.attempts else None

    def attempts_as_data(self) -> list[dict[str, Any]]:
        """What the request's explanation tells: who was tried, and before them who was passed over."""
        skipped = [
            {
                "credential": skip.credential_id,
                "provider": skip.provider,
                "status": 0,
                "outcome": "skipped",
                "reason": skip.reason,
                "ms": 0,
            }
            for skip in self.skipped
        ]
        return skipped + [
            {
                "credential": attempt.credential_id,
                "provider": attempt.provider,
                "status": attempt.status,
                "outcome": attempt.outcome,
                "reason": attempt.reason,
                "ms": attempt.ms,
            }
            for attempt in self.attempts
        ]
