"""What this site offers to the holder of one key: models with their price for this key, ways to write a model's name, addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction

from msgspec import Struct

from accounts.standing import Standing
from apiproxy.models import CatalogueModel
from gateway.lib.credits import to_text
from quotas import selectors as quota_selectors
from quotas.pricing import ONE, Price, as_decimal


class Offer(Struct, frozen=True):
    """`rates`: (what for, credits) of a model that is paid by the million tokens."""

    name: str
    title: str
    per_call: str
    rates: tuple[tuple[str, str], ...]
    is_free: bool


class Spelling(Struct, frozen=True):
    """A way to write a model's name, and what it makes of the price; "" where it changes nothing."""

    forms: tuple[str, ...]
    words: str
    factor: str


class Address(Struct, frozen=True):
    dialect: str
    url: str
    header: str


class Offers(Struct, frozen=True):
    """`of_all`: how many models the site lists, more than these where the key is for some only."""

    models: tuple[Offer, ...]
    of_all: int
    spellings: tuple[Spelling, ...]
    addresses: tuple[Address, ...]


# (forms, what it does, the feature that may have a price of its own)
_SPELLINGS: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...] = (
    (
        ("anti-truncation/…", "流式抗截断/…"),
        "goes on where a long answer was cut off",
        ("anti_truncation",),
    ),
    (
        ("fake-stream/…", "假流式/…"),
        "streams an answer that was fetched whole",
        ("fake_stream",),
    ),
    (
        ("…-maxthinking", "…-high", "…-medium", "…-low", "…-minimal", "…-nothinking"),
        "thinks more, or less",
        tuple(
            f"thinking_{word}"
            for word in ("maxthinking", "max", "high", "medium", "low", "minimal", "nothinking")
        ),
    ),
    (("…-search",), "looks things up with Google Search", ("search",)),
    (("…-2k", "…-4k"), "draws larger pictures", ("image_2k", "image_4k")),
)

_ADDRESSES = (
    ("openai", "OpenAI", "/v1", "Authorization: Bearer"),
    ("anthropic", "Anthropic", "", "x-api-key"),
    ("gemini", "Gemini", "", "x-goog-api-key"),
)


def offers(standing: Standing, site: str) -> Offers:
    """`site` without a closing slash."""
    group = standing.group
    prices = quota_selectors.price_list()
    tariff, factor = (group.tariff, Fraction(group.price_factor)) if group else ("", ONE)
    rows = CatalogueModel.objects.filter(listed=True).values_list("name", "display_name")
    listed = [
        _offer(name, title or name, prices.of(name, (), tariff, factor))
        for name, title in rows
        if _allows(standing.allowed("models"), name)
    ]
    return Offers(
        models=tuple(listed),
        of_all=len(rows),
        spellings=tuple(
            Spelling(forms, words, _factors(prices.multipliers, features))
            for forms, words, features in _SPELLINGS
        ),
        addresses=tuple(
            Address(title, f"{site}{path}", header)
            for name, title, path, header in _ADDRESSES
            if all(name in names for _, names in standing.allowed("dialects"))
        ),
    )


def _allows(allowed: Sequence[tuple[str, tuple[str, ...]]], name: str) -> bool:
    return all(any(fnmatchcase(name, glob) for glob in globs) for _, globs in allowed)


def _offer(name: str, title: str, price: Price) -> Offer:
    rates = (
        ("in", price.input_micros_per_million),
        ("cached", price.cached_micros_per_million),
        ("out", price.output_micros_per_million),
        ("thinking", price.thinking_micros_per_million),
    )
    told = tuple((what, _credits(rate, price.factor)) for what, rate in rates if rate)
    per_call = _credits(price.per_call_micros, price.factor) if price.per_call_micros else ""
    return Offer(name, title, per_call, told, is_free=not price.factor or not (told or per_call))


def _credits(micros: int, factor: Fraction) -> str:
    """Rounded up, as charges are."""
    return to_text(-(-micros * factor.numerator // factor.denominator))


def _factors(multipliers: Mapping[str, Fraction], features: Sequence[str]) -> str:
    """ "×2", or "×1.5 to ×2" where the forms differ."""
    found = sorted({multipliers.get(feature, ONE) for feature in features})
    if found == [ONE]:
        return ""
    words = [f"×{as_decimal(one)}" for one in found]
    return words[0] if len(words) == 1 else f"{words[0]} to {words[-1]}"
