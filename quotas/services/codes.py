"""Codes: made in numbers or in words of one's own, and redeemed into a balance exactly as often as they are good for."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone
from msgspec import Struct
from redis.exceptions import RedisError

from gateway.lib.errors import Conflict, InvalidRequest, RateLimited
from quotas.models import Balance, Campaign, Code, Entry, Redemption
from quotas.services.balances import move
from quotas.services.lots import add_lot

logger = logging.getLogger(__name__)

MOST_CODES = 10_000
MOST_USES = 2**31 - 1
# No letters and digits that are mistaken for each other.
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_GROUPS, _LETTERS = 4, 5
_WORD = re.compile(r"[0-9A-Z]{4,40}")
HINT_LETTERS, SHORTEST_HINT = 4, 2
_ROWS_A_STATEMENT = 1000
_ONCE = "You took part already: once for each, however many codes."
_HOUR_S = 3600


class Redeemed(Struct, frozen=True):
    """`expires_at`: when what is left of it goes; None: never."""

    campaign: str
    amount_micros: int
    expires_at: datetime | None
    entry_id: int


def normalized(text: str) -> str:
    """As people type it: capitals or not, with or without dashes and blanks."""
    return re.sub(r"[\s\-_–—]+", "", unicodedata.normalize("NFKC", text)).upper()


def digest_of(text: str) -> str:
    return hashlib.sha256(normalized(text).encode(errors="replace")).hexdigest()


@transaction.atomic
def make_codes(
    *, campaign: Campaign, count: int, max_uses: int = 1, expires_at: datetime | None = None
) -> list[str]:
    """New codes; they cannot be had again. Raises InvalidRequest."""
    if not 1 <= count <= MOST_CODES:
        raise InvalidRequest(f"Make 1 to {MOST_CODES:,} codes at once.", param="count")
    _check(max_uses, expires_at)
    made = ["-".join(_letters(_LETTERS) for _ in range(_GROUPS)) for _ in range(count)]
    Code.objects.bulk_create(
        (
            Code(
                campaign=campaign,
                digest=digest_of(text),
                hint=text[:HINT_LETTERS],
                max_uses=max_uses,
                expires_at=expires_at,
            )
            for text in made
        ),
        batch_size=_ROWS_A_STATEMENT,
    )
    return made


@transaction.atomic
def make_words(
    *,
    campaign: Campaign,
    words: Sequence[str],
    max_uses: int = 1,
    expires_at: datetime | None = None,
) -> list[str]:
    """Codes such as WELCOME2026. Raises InvalidRequest, Conflict for one that there is already."""
    if not 1 <= len(words) <= MOST_CODES:
        raise InvalidRequest(f"Make 1 to {MOST_CODES:,} codes at once.", param="words")
    _check(max_uses, expires_at)
    plain = [normalized(word) for word in words]
    for word, text in zip(words, plain, strict=True):
        if not _WORD.fullmatch(text):
            raise InvalidRequest(
                f"{word!r} is no code: take 4 to 40 letters A to Z and digits.", param="words"
            )
    by_digest = {digest_of(text): text for text in plain}
    if len(by_digest) < len(plain):
        raise InvalidRequest("A word is there twice.", param="words")
    digests = list(by_digest)
    for start in range(0, len(digests), _ROWS_A_STATEMENT):
        some = digests[start : start + _ROWS_A_STATEMENT]
        if taken := Code.objects.filter(digest__in=some).first():
            raise Conflict(f"There is a code {by_digest[taken.digest]} already.")
    try:
        with transaction.atomic():
            Code.objects.bulk_create(
                (
                    Code(
                        campaign=campaign,
                        digest=digest,
                        # Of a word of one's own as little as tells it by.
                        hint=text[: min(HINT_LETTERS, len(text) // 2)],
                        max_uses=max_uses,
                        expires_at=expires_at,
                    )
                    for digest, text in by_digest.items()
                ),
                batch_size=_ROWS_A_STATEMENT,
            )
    except IntegrityError as exc:
        raise Conflict("One of these codes was made by somebody else just now.") from exc
    return plain


@transaction.atomic
def revoke_codes(*, codes: Any) -> int:
    """A queryset of them; what was redeemed stays. How many could still be used."""
    return int(codes.filter(revoked_at=None).update(revoked_at=timezone.now()))


def redeem(*, code: str, balance: Balance, user: Any = None, address: str = "") -> Redeemed:
    """Into this balance, on behalf of `user` where somebody is signed in. Raises InvalidRequest when there is no such code, RateLimited
    when too many that there are not came from this address, Conflict when it is good for nothing now."""
    tries = f"wrong-codes:{hashlib.sha256(address.encode()).hexdigest()[:32]}"
    limit = settings.WRONG_CODES_PER_HOUR
    if limit and _counted(tries) >= limit:
        raise RateLimited(
            "Too many wrong codes came from your address: try again in an hour.",
            retry_after_s=_HOUR_S,
        )
    # One look by the digest, found or not: how long it takes tells nothing about the letters.
    found = Code.objects.filter(digest=digest_of(code)).first()
    if found is None:
        _count(tries)
        raise InvalidRequest("There is no such code: check that it is spelled right.", param="code")
    return _redeem(found.pk, balance, user, address)


def _counted(tries: str) -> int:
    try:
        return int(cache.get(tries, 0))
    except RedisError as exc:
        logger.warning("wrong codes are not counted: %s", exc)
        return 0


def _count(tries: str) -> None:
    """A cache that is away counts nothing: good codes stay of use."""
    try:
        cache.add(tries, 0, _HOUR_S)
        cache.incr(tries)
    except ValueError:  # it ran out just now
        cache.set(tries, 1, _HOUR_S)
    except RedisError as exc:
        logger.warning("wrong codes are not counted: %s", exc)


@transaction.atomic
def _redeem(code_id: int, balance: Balance, user: Any, address: str) -> Redeemed:
    now = timezone.now()
    fresh = Q(expires_at=None) | Q(expires_at__gt=now)
    usable = Code.objects.filter(fresh, pk=code_id, revoked_at=None, uses__lt=F("max_uses"))
    taken = usable.update(uses=F("uses") + 1)
    code = Code.objects.select_related("campaign").get(pk=code_id)
    campaign = code.campaign
    if reason := (not taken and _why_not(code, now)) or _why_not_yet(campaign, now):
        raise Conflict(reason)
    # Of now: the caller's may be a minute old.
    row = Balance.objects.filter(pk=balance.pk).values("open_ended", "user", "key__owner").get()
    if row["open_ended"]:
        raise Conflict("There is no limit to these credits: keep the code for where there is one.")
    person = row["user"] or row["key__owner"]
    if campaign.once_each and _took_part(campaign, balance, person):
        raise Conflict(_ONCE)
    try:
        entry = move(
            balance_id=balance.pk,
            amount_micros=campaign.amount_micros,
            kind=Entry.Kind.REDEEM,
            reason=f"code {code.hint}… of {campaign.name}",
            actor=user.get_username() if user is not None else "",
        )
    except ValueError as exc:
        raise Conflict("There are as many credits already as a balance holds.") from exc
    try:
        with transaction.atomic():
            Redemption.objects.create(
                code=code,
                campaign=campaign,
                balance_id=balance.pk,
                entry=entry,
                user=user,
                party=(f"u{person}" if person else f"b{balance.pk}")
                if campaign.once_each
                else None,
                address=address[:45],
            )
    except IntegrityError as exc:
        raise Conflict(_ONCE) from exc
    expires_at = now + timedelta(days=campaign.credit_days) if campaign.credit_days else None
    if expires_at:
        add_lot(entry=entry, expires_at=expires_at)
    return Redeemed(campaign.name, campaign.amount_micros, expires_at, entry.pk)


def _took_part(campaign: Campaign, balance: Balance, person: int | None) -> bool:
    """While the campaign let each of them do so more often; else the constraint knows it."""
    same = Q(balance=balance.pk)
    if person:
        same |= Q(balance__user=person) | Q(balance__key__owner=person)
    return Redemption.objects.filter(same, campaign=campaign, party=None).exists()


def _why_not(code: Code, now: datetime) -> str:
    if code.revoked_at is not None:
        return "This code was withdrawn."
    if code.expires_at is not None and code.expires_at <= now:
        return "This code has expired."
    return "This code is used up."


def _why_not_yet(campaign: Campaign, now: datetime) -> str:
    if not campaign.is_active:
        return "The campaign of this code is switched off."
    if campaign.starts_at is not None and campaign.starts_at > now:
        return "The campaign of this code has not begun."
    if campaign.ends_at is not None and campaign.ends_at <= now:
        return "The campaign of this code is over."
    return ""


def _check(max_uses: int, expires_at: datetime | None) -> None:
    if not 1 <= max_uses <= MOST_USES:
        raise InvalidRequest("A code is good for one use at least.", param="max_uses")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidRequest("They would have expired already.", param="expires_at")


def _letters(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))
