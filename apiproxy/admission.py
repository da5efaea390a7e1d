"""Who is calling, and can they pay. The only caller of the ledger."""

from __future__ import annotations

import asyncio
import hmac
import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from django.db import Error
from msgspec import Struct

from accounts import keys
from accounts.selectors import KeyRecord
from apiproxy import shaping
from apiproxy.address import address_of, is_within, neighbourhood
from apiproxy.dialects.fields import either
from apiproxy.lookups import Lookups
from apiproxy.request import Header, Request
from apiproxy.strangers import Strangers
from apiproxy.wire.types import Action, Call, Json, Usage
from apiproxy.wire.usage import objects
from apiproxy.writer import Writer
from gateway.lib.credits import to_text
from gateway.lib.errors import (
    AuthenticationFailed,
    PermissionDenied,
    QuotaExhausted,
    TooManyWrongKeys,
    Unavailable,
)
from gateway.lib.sql import Cursor
from quotas import pricing
from quotas.decisions import Refusal
from quotas.ledger import Booked, Close, Reserve
from quotas.periods import clock_text, ends_at
from quotas.terms import WHOSE, Account, Terms

_MAX_CACHED_KEYS = 50_000
# The feed tells of a new key before this is over.
_UNKNOWN_FOR_S = 30.0
_MOST_CANDIDATES = 8
_BYTES_A_TOKEN = 4
# A picture, a page and eight seconds of sound are 258 tokens, and have some such length in base64.
_MEDIA_BYTES_A_TOKEN = 1_000
_LEAST_TOKENS_OF_MEDIA = 258
# What is inlined here makes no difference.
_SHORT_BODY_BYTES = 4_096

_NO_SUCH_KEY = "this API key does not exist: check that it is whole"
_NOT_OURS = "this is not an API key of this site: they begin with sk-"
_HOW_TO_SEND = "send it as Authorization: Bearer, x-goog-api-key, x-api-key or ?key="


class Principal(Struct, frozen=True):
    """Who calls, and by what terms: the key's, its owner's and their group's. Without `accounts` nothing is reserved.

    `unused`: the key's days begin with this call.
    """

    key_id: int
    owner_id: int = 0
    group_id: int = 0
    terms: tuple[Terms, ...] = ()
    accounts: tuple[Account, ...] = ()
    paced: tuple[Terms, ...] = ()
    """Those of `terms` whose calls have to pass a gate (apiproxy/pacing.py)."""
    confined: tuple[Terms, ...] = ()
    """Those that say from where one may call."""
    unused: bool = False
    is_active: bool = True
    expires_at: float = 0.0
    """Epoch seconds; 0: never."""
    tariff: str = ""
    price_factor: Fraction = Fraction(1)


class Hold(Struct, frozen=True):
    """Credits reserved for one call."""

    request_id: str
    reserved_micros: int
    remaining_micros: int | None
    """None: there is no end to it."""
    price: pricing.Price
    accounts: tuple[Account, ...] = ()


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
    """Keys are cached by public id until `forget` names them: the feed does, within a second of any change. It names new ones too."""

    def __init__(
        self,
        *,
        writer: Writer,
        clock: Callable[[], float],
        prices: Callable[[], pricing.PriceList],
        api_password: str,
        trusted_proxies: str = "",
        wrong_keys_per_minute: int = 60,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._prices = prices
        self._api_password = api_password.encode()
        self._trusted_proxies = trusted_proxies
        self._strangers = Strangers(clock=clock, per_minute=wrong_keys_per_minute)
        self._records: dict[str, tuple[KeyRecord, Principal]] = {}
        self._unknown: dict[str, float] = {}
        self._real: dict[str, None] = {}
        """Public ids that the feed told of, which tells of all when it begins, or that were found: who has one of them is no
        stranger, however many wrong keys come from the same address."""
        self._lookups = Lookups()
        self._try_ended = asyncio.Event()
        self._guests: dict[str, Principal] = {}
        self._forgotten = 0

    def forget(self, public_ids: list[str]) -> None:
        self._forgotten += 1
        for public_id in public_ids:
            self._records.pop(public_id, None)
            self._unknown.pop(public_id, None)
            self._know(public_id)

    def _know(self, public_id: str) -> None:
        if len(self._real) < _MAX_CACHED_KEYS:
            self._real[public_id] = None

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
        """Whose key it is, when this process knows; raises AuthenticationFailed when it knows better."""
        public_id = keys.public_id_of(presented)
        if public_id is None:
            return self._by_password(presented)
        cached = self._records.get(public_id)
        if cached is None:
            if self._unknown.get(public_id, 0.0) > self._clock():
                raise AuthenticationFailed(_NO_SUCH_KEY)
            return None
        self._check_secret(cached[0], presented)
        return cached[1]

    async def identify(self, request: Request) -> Principal:
        """Who calls, and may. Raises as `whose` and `let_in`."""
        principal = await self.whose(request)
        self.let_in(principal, request)
        return principal

    async def whose(self, request: Request) -> Principal:
        """By the secret alone. Raises AuthenticationFailed; TooManyWrongKeys, when this address tried too many that do not exist."""
        presented = request.api_key()
        principal = self.known(presented)
        if principal is None:
            address = neighbourhood(address_of(request, self._trusted_proxies))
            principal = await self._look_up(presented, address)
        return principal

    def let_in(self, principal: Principal, request: Request) -> None:
        """Raises AuthenticationFailed for a key that is over, PermissionDenied when it may not be used from here."""
        if not principal.is_active:
            raise AuthenticationFailed(
                "this API key was revoked or switched off: ask for a new one"
            )
        if principal.expires_at and principal.expires_at <= self._clock():
            raise AuthenticationFailed("this API key has expired: ask for a new one")
        if principal.confined:
            self._check_address(principal, request)

    async def _look_up(self, presented: str, address: str) -> Principal:
        """What this process does not know, or not any more."""
        public_id = keys.public_id_of(presented)
        forgotten = self._forgotten
        if public_id in self._real:
            record = await self._find(public_id)
        else:
            record = await self._try(public_id, address)
        # Else some key changed while this one was read, and it may have been this one.
        fresh = forgotten == self._forgotten
        if public_id is None:
            raise AuthenticationFailed(_NOT_OURS)
        if record is None:
            self._real.pop(public_id, None)
            if fresh:
                _make_place(self._unknown)
                self._unknown[public_id] = self._clock() + _UNKNOWN_FOR_S
            raise AuthenticationFailed(_NO_SUCH_KEY)
        principal = _principal(record)
        if fresh:
            _make_place(self._records)
            self._records[public_id] = record, principal
        self._know(public_id)
        self._check_secret(record, presented)
        return principal

    async def _try(self, public_id: str | None, address: str) -> KeyRecord | None:
        """A stranger's key: for each address only so many that turn out wrong. None for one that is no key of ours at all."""
        while not self._strangers.begin(address):
            if wait_s := self._strangers.wait_s(address):
                raise TooManyWrongKeys(
                    "too many wrong API keys came from your address: check the key, then try again in "
                    f"{math.ceil(wait_s)} s",
                    retry_after_s=wait_s,
                )
            # Others of this address are being looked up, and may turn out to be right.
            await self._try_ended.wait()
        wrong = public_id is None
        try:
            record = None if public_id is None else await self._find(public_id)
            wrong = record is None
            return record
        finally:
            self._strangers.end(address, wrong=wrong)
            ended, self._try_ended = self._try_ended, asyncio.Event()
            ended.set()

    async def _find(self, public_id: str) -> KeyRecord | None:
        try:
            return await self._lookups.find(public_id)
        except Error as exc:
            raise Unavailable(
                "the database of this site does not answer: try again", retry_after_s=5
            ) from exc

    def _check_address(self, principal: Principal, request: Request) -> None:
        address = address_of(request, self._trusted_proxies)
        for terms in principal.confined:
            if not is_within(address, terms.allowed_networks):
                raise PermissionDenied(
                    f"{WHOSE[terms.scope[0]]} may not be used from your address, {address}: "
                    "the operator of this site can allow it"
                )

    def permit(self, principal: Principal, call: Call, dialect: str) -> None:
        """Raises PermissionDenied when the model or the dialect is not covered."""
        for terms in principal.terms:
            whose = WHOSE[terms.scope[0]]
            dialects = terms.allowed_dialects
            if dialects and dialect.partition("-")[0] not in dialects:
                raise PermissionDenied(
                    f"{whose} may not call in this dialect: allowed are {', '.join(dialects)}"
                )
            allowed = terms.allowed_models
            if allowed and not any(fnmatchcase(call.model.id, pattern) for pattern in allowed):
                raise PermissionDenied(
                    f"{whose} may not use {call.model.id}: allowed are {', '.join(allowed)}",
                    param="model",
                )

    async def reserve(self, principal: Principal, call: Call, body_bytes: int) -> Hold | None:
        """Reserve the estimate; None when the caller is unlimited. Raises QuotaExhausted, LedgerUnavailable."""
        if not principal.accounts:
            return None
        price = self._prices().of(
            call.model.id, shaping.features(call), principal.tariff, principal.price_factor
        )
        amount = estimate_of(price, call, body_bytes)
        request_id = call.head.request_id
        waiting = self._writer.reserve(Reserve(request_id, principal.accounts, amount))
        try:
            booked = await waiting
        except BaseException:
            # The caller left, or the database's word was lost on the way: whatever was reserved goes back.
            self._writer.close(Close(request_id, 0, "given up while reserving"))
            raise
        if not booked.accepted:
            error = self._exhausted(principal, amount, booked.refusal)
            if booked.refusal is not None:
                error.headers.append(credits_left(booked.refusal.left_micros))
            raise error
        return Hold(request_id, amount, booked.remaining_micros, price, principal.accounts)

    def _exhausted(
        self, principal: Principal, amount: int, refusal: Refusal | None
    ) -> QuotaExhausted:
        """Whose credits are used up, and when there will be more."""
        needed = f"this call of {to_text(amount)} credits"
        found = [
            terms
            for terms in principal.terms
            if refusal and terms.account and terms.account.balance_id == refusal.balance_id
        ]
        if refusal is None or not found:
            return QuotaExhausted(
                f"the quota of this key does not cover {needed}: ask the operator of this site for more"
            )
        account, whose = found[0].account, WHOSE[found[0].scope[0]]
        left = to_text(refusal.left_micros)
        if refusal.limit == "total" or account is None:
            return QuotaExhausted(
                f"the quota of {whose} does not cover {needed}, {left} are left: "
                "ask the operator of this site for more"
            )
        resets_at = ends_at(refusal.limit, refusal.day, account.time_zone)
        return QuotaExhausted(
            f"the credits of {whose} for this {refusal.limit} do not cover {needed}, {left} are left: "
            f"there are more from {clock_text(resets_at, account.time_zone)} on",
            retry_after_s=max(resets_at - self._clock(), 1.0),
        )

    def settle(
        self,
        hold: Hold,
        outcome: Outcome,
        also: Callable[[Cursor], bool] | None = None,
    ) -> asyncio.Future[Booked]:
        """Charge what the outcome costs and give the rest back; booked even when nobody awaits it.

        Nothing delivered, nothing charged. A call broken off by the upstream or by us costs the tokens that were
        delivered, and nothing of the price per call. `also`: see Close.
        """
        charge = charge_of(hold.price, outcome)
        reason = outcome.reason
        if charge and hold.price.features:
            # As much as an entry of the ledger holds.
            reason = f"{reason} ({hold.price.features})"[:200]
        return self._writer.close(Close(hold.request_id, charge, reason, also, hold.accounts))

    def _check_secret(self, record: KeyRecord, presented: str) -> None:
        """Raises AuthenticationFailed."""
        if not keys.matches(presented, record.digest) and not self._rotated(presented, record):
            raise AuthenticationFailed("this API key is wrong: check that it is whole")

    def _rotated(self, presented: str, record: KeyRecord) -> bool:
        """Whether it is the secret from before the last rotation, which still works for a while."""
        return self._clock() < record.previous_until and keys.matches(
            presented, record.previous_digest
        )

    def _by_password(self, presented: str) -> Principal | None:
        if self._api_password and hmac.compare_digest(presented.encode(), self._api_password):
            return UNLIMITED
        if (guest := self._guests.get(presented)) is not None:
            return guest
        if not presented:
            raise AuthenticationFailed(f"this call has no API key: {_HOW_TO_SEND}")
        if self._api_password:
            return None  # a guess, for all we know
        raise AuthenticationFailed(_NOT_OURS)


def _make_place(cached: dict[str, Any]) -> None:
    if len(cached) >= _MAX_CACHED_KEYS:
        cached.clear()


def _principal(record: KeyRecord) -> Principal:
    return Principal(
        key_id=record.key_id,
        owner_id=record.owner_id,
        group_id=record.group_id,
        terms=record.terms,
        accounts=tuple(terms.account for terms in record.terms if terms.account),
        paced=tuple(terms for terms in record.terms if terms.paced),
        confined=tuple(terms for terms in record.terms if terms.allowed_networks),
        unused=record.unused,
        is_active=record.is_active,
        expires_at=record.expires_at or 0.0,
        tariff=record.tariff,
        price_factor=record.price_factor,
    )


def credits_left(micros: int) -> Header:
    return (b"x-credits-remaining", to_text(micros).encode())


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


def tokens_of(call: Call, body_bytes: int) -> int:
    """What goes in, roughly, for limits on tokens a minute: of what is inlined, Google counts far less than its base64 is long."""
    media, tokens = 0, 0
    if body_bytes > _SHORT_BODY_BYTES:
        for size in _inlined(call.body.get("generateContentRequest", call.body)):
            media += size
            tokens += max(size // _MEDIA_BYTES_A_TOKEN, _LEAST_TOKENS_OF_MEDIA)
    # A form's files become longer than they came.
    return max(body_bytes - media, 0) // _BYTES_A_TOKEN + tokens


def _inlined(body: Json) -> Iterator[int]:
    for content in objects(body.get("contents")):
        for part in objects(content.get("parts")):
            blob = either(part, "inlineData", "inline_data")
            if isinstance(blob, dict) and isinstance(data := blob.get("data"), str):
                yield len(data)


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
