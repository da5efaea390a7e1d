"""Who is calling, and can they pay. The only caller of the ledger."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

from channels.db import database_sync_to_async
from django.db import Error
from msgspec import Struct

from accounts import keys, selectors
from accounts.selectors import KeyRecord
from apiproxy import shaping
from apiproxy.wire.types import Action, Call, Usage
from apiproxy.writer import Writer
from gateway.lib.credits import to_text
from gateway.lib.errors import AuthenticationFailed, PermissionDenied, QuotaExhausted, Unavailable
from quotas import pricing
from quotas.ledger import Booked, Close, Reserve

_MAX_CACHED_KEYS = 50_000
_UNKNOWN_FOR_S = 1.0
_MOST_CANDIDATES = 8

_HOW_TO_SEND = "send it as Authorization: Bearer, x-goog-api-key, x-api-key or ?key="


class Principal(Struct, frozen=True):
    """Who calls. `balance_id` 0: unlimited, nothing is reserved."""

    key_id: int
    balance_id: int = 0
    owner_id: int = 0
    allowed_models: tuple[str, ...] = ()


class Hold(Struct, frozen=True):
    """Credits reserved for one call."""

    request_id: str
    balance_id: int
    reserved_micros: int
    remaining_micros: int
    price: pricing.Price


class Outcome(Struct, frozen=True):
    """What a call came to. `broken`: the upstream or the gateway broke it off after content had gone out. `answers`: how
    many of those that are charged one by one were delivered."""

    delivered: bool
    usage: Usage
    broken: bool = False
    reason: str = ""
    answers: int = 1


UNLIMITED = Principal(key_id=0)


class Admission:
    """Keys are cached by public id until `forget` names them: the feed does, within a second of any change."""

    def __init__(
        self,
        *,
        writer: Writer,
        clock: Callable[[], float],
        prices: Callable[[], pricing.PriceList],
        api_password: str,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._prices = prices
        self._api_password = api_password.encode()
        self._records: dict[str, KeyRecord] = {}
        self._unknown: dict[str, float] = {}
        self._guests: dict[str, Principal] = {}
        self._forgotten = 0

    def forget(self, public_ids: list[str]) -> None:
        self._forgotten += 1
        for public_id in public_ids:
            self._records.pop(public_id, None)
            self._unknown.pop(public_id, None)

    def forget_all(self) -> None:
        self._forgotten += 1
        self._records.clear()
        self._unknown.clear()

    @contextmanager
    def guest(self, principal: Principal) -> Iterator[str]:
        """A key that only this process knows, for as long as the context lasts; no row is made for it."""
        key = f"guest-{secrets.token_urlsafe(32)}"
        self._guests[key] = principal
        try:
            yield key
        finally:
            del self._guests[key]

    def known(self, presented: str) -> Principal | None:
        """The caller, when the cache knows the key; raises AuthenticationFailed when it knows better."""
        public_id = keys.public_id_of(presented)
        if public_id is None:
            return self._by_password(presented)
        record = self._records.get(public_id)
        if record is None:
            if self._unknown.get(public_id, 0.0) > self._clock():
                raise AuthenticationFailed("this API key does not exist: check that it is whole")
            return None
        return self._principal(record, presented)

    async def identify(self, presented: str) -> Principal:
        """Raises AuthenticationFailed."""
        if (principal := self.known(presented)) is not None:
            return principal
        public_id = keys.public_id_of(presented) or ""
        forgotten = self._forgotten
        try:
            records = await database_sync_to_async(selectors.principals_by_public_id)([public_id])
        except Error as exc:
            raise Unavailable(
                "the database of this site does not answer: try again", retry_after_s=5
            ) from exc
        if not records:
            if len(self._unknown) >= _MAX_CACHED_KEYS:
                self._unknown.clear()
            self._unknown[public_id] = self._clock() + _UNKNOWN_FOR_S
            raise AuthenticationFailed("this API key does not exist: check that it is whole")
        if len(self._records) >= _MAX_CACHED_KEYS:
            self._records.clear()
        if forgotten == self._forgotten:
            # Else some key changed while this one was read, and it may have been this one.
            self._records[public_id] = records[0]
        return self._principal(records[0], presented)

    def permit(self, principal: Principal, call: Call) -> None:
        """Raises PermissionDenied when the key does not cover the model."""
        allowed = principal.allowed_models
        if allowed and not any(fnmatchcase(call.model.id, pattern) for pattern in allowed):
            raise PermissionDenied(
                f"this key may not use {call.model.id}: it covers {', '.join(allowed)}",
                param="model",
            )

    async def reserve(self, principal: Principal, call: Call, body_bytes: int) -> Hold | None:
        """Reserve the estimate; None when the caller is unlimited. Raises QuotaExhausted, LedgerUnavailable."""
        if not principal.balance_id:
            return None
        price = self._prices().of(call.model.id, shaping.features(call))
        amount = estimate_of(price, call, body_bytes)
        request_id = call.head.request_id
        waiting = self._writer.reserve(Reserve(request_id, principal.balance_id, amount))
        try:
            booked = await waiting
        except BaseException:
            # The caller left, or the database's word was lost on the way: whatever was reserved goes back.
            self._writer.close(
                Close(request_id, principal.balance_id, 0, "given up while reserving")
            )
            raise
        if not booked.accepted:
            raise QuotaExhausted(
                f"the quota of this key does not cover this call of {to_text(amount)} credits: "
                "ask the operator of this site for more"
            )
        return Hold(request_id, principal.balance_id, amount, booked.remaining_micros, price)

    def settle(self, hold: Hold, outcome: Outcome) -> asyncio.Future[Booked]:
        """Charge what the outcome costs and give the rest back; booked even when nobody awaits it.

        Nothing delivered, nothing charged. A call broken off by the upstream or by us costs the tokens that were
        delivered, and nothing of the price per call.
        """
        charge = charge_of(hold.price, outcome)
        reason = outcome.reason
        if charge and hold.price.features:
            # As much as an entry of the ledger holds.
            reason = f"{reason} ({hold.price.features})"[:200]
        return self._writer.close(Close(hold.request_id, hold.balance_id, charge, reason))

    def _principal(self, record: KeyRecord, presented: str) -> Principal:
        if not keys.matches(presented, record.digest):
            raise AuthenticationFailed("this API key is wrong: check that it is whole")
        if not record.is_active:
            raise AuthenticationFailed(
                "this API key was revoked or switched off: ask for a new one"
            )
        if record.expires_at and record.expires_at <= self._clock():
            raise AuthenticationFailed("this API key has expired: ask for a new one")
        return Principal(
            key_id=record.key_id,
            balance_id=0 if record.unlimited else record.balance_id,
            owner_id=record.owner_id,
            allowed_models=record.allowed_models,
        )

    def _by_password(self, presented: str) -> Principal:
        if self._api_password and hmac.compare_digest(presented.encode(), self._api_password):
            return UNLIMITED
        if (guest := self._guests.get(presented)) is not None:
            return guest
        if not presented:
            raise AuthenticationFailed(f"this call has no API key: {_HOW_TO_SEND}")
        raise AuthenticationFailed("this is not an API key of this site: they begin with sk-")


def estimate_of(price: pricing.Price, call: Call, body_bytes: int) -> int:
    """Micros to reserve."""
    embeds = call.action is Action.EMBED
    return pricing.estimate(
        price,
        # The texts of a batch are shared out; everything else is sent whole every time.
        body_bytes=body_bytes // call.answers if embeds else body_bytes,
        max_output_tokens=0 if embeds else _most_output_tokens(call),
        calls=call.answers,
        attempts=call.attempts,
    )


def _most_output_tokens(call: Call) -> int:
    """Of one upstream call, with all its candidates."""
    config = call.body.get("generationConfig")
    config = config if isinstance(config, dict) else {}
    bound, candidates = config.get("maxOutputTokens"), config.get("candidateCount")
    tokens = bound if isinstance(bound, int) and bound > 0 else pricing.DEFAULT_OUTPUT_TOKENS
    count = candidates if isinstance(candidates, int) and candidates > 0 else 1
    return min(tokens, call.model.output_limit_tokens) * min(count, _MOST_CANDIDATES)


def charge_of(price: pricing.Price, outcome: Outcome) -> int:
    """Micros."""
    if not outcome.delivered:
        return 0
    usage = outcome.usage
    return pricing.cost(
        price,
        calls=0 if outcome.broken else outcome.answers,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        thinking_tokens=usage.thinking_tokens,
    )
