"""usage x price -> micros. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from math import prod

from msgspec import Struct
from msgspec.structs import replace

MILLION = 1_000_000

# A bound for what one call can cost, a thousand million credits: sums of many calls still fit a 64-bit column.
MOST_MICROS = 10**15

# A reservation assumes this many output tokens when neither the client nor the price's model sets a bound.
DEFAULT_OUTPUT_TOKENS = 8_192

# More made-up names than that are not worth remembering.
_MOST_KNOWN = 10_000


class Price(Struct, frozen=True):
    """Rates are micros per million tokens; the cached part of the input costs `cached` instead of `input`."""

    pattern: str
    per_call_micros: int = 0
    input_micros_per_million: int = 0
    cached_micros_per_million: int = 0
    output_micros_per_million: int = 0
    thinking_micros_per_million: int = 0
    factor: Fraction = Fraction(1)
    """What the features of a call make of all its rates, exactly: a charge is rounded once."""
    features: str = ""
    """Those features in words, for receipts."""

    @property
    def by_token(self) -> bool:
        return bool(
            self.input_micros_per_million
            or self.cached_micros_per_million
            or self.output_micros_per_million
            or self.thinking_micros_per_million
        )


FREE = Price(pattern="")


class PriceList:
    """The price of a model: its own name wins, then the glob with the most literal characters, then the later one.

    `multipliers`: feature of a call (anti_truncation, image_4k …) -> factor. Features that have none cost nothing.
    """

    def __init__(
        self, prices: Iterable[Price], multipliers: Mapping[str, Fraction] | None = None
    ) -> None:
        self._prices = list(prices)
        self._multipliers = multipliers or {}
        self._known: dict[tuple[str, tuple[str, ...]], Price] = {}

    def of(self, model: str, features: tuple[str, ...] = ()) -> Price:
        if features:
            # Clients' own words may be among them, which nobody should have to remember.
            features = tuple(name for name in features if name in self._multipliers)
        price = self._known.get((model, features))
        if price is None:
            price = self._multiplied(self._find(model), features)
            # Client-chosen names end up here: a list this long means somebody is making them up.
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[model, features] = price
        return price

    def _multiplied(self, price: Price, features: tuple[str, ...]) -> Price:
        if not features:
            return price
        factors = {name: self._multipliers[name] for name in features}
        words = ", ".join(f"{name} ×{float(factor):g}" for name, factor in factors.items())
        return replace(price, factor=prod(factors.values(), start=Fraction(1)), features=words)

    def _find(self, model: str) -> Price:
        best, best_rank = FREE, (-1, -1)
        for position, price in enumerate(self._prices):
            if price.pattern == model:
                return price
            if fnmatchcase(model, price.pattern):
                rank = (sum(c not in "*?[]" for c in price.pattern), position)
                if rank > best_rank:
                    best, best_rank = price, rank
        return best


def cost(
    price: Price,
    *,
    calls: int,
    input_tokens: int,
    cached_tokens: int,
    output_tokens: int,
    thinking_tokens: int,
) -> int:
    """Micros for `calls` answers and all their tokens, rounded up once. `input_tokens` includes the cached ones."""
    micro_tokens = (
        max(input_tokens - cached_tokens, 0) * price.input_micros_per_million
        + cached_tokens * price.cached_micros_per_million
        + output_tokens * price.output_micros_per_million
        + thinking_tokens * price.thinking_micros_per_million
    )
    return _micros(price, calls * price.per_call_micros * MILLION + micro_tokens)


def estimate(
    price: Price,
    *,
    body_bytes: int,
    max_output_tokens: int | None,
    calls: int = 1,
    attempts: int = 1,
) -> int:
    """What is reserved for a call: never less than its answers cost without tokens.

    Four bytes of JSON are taken for a token; output is taken at its bound, all of it at the dearer of the two rates.
    `calls`: answers that are charged one by one. `attempts`: how often each may be asked for, which costs tokens only;
    every attempt goes on from what those before it said.
    """
    micro_tokens = 0
    if price.by_token:
        output = max_output_tokens if max_output_tokens is not None else DEFAULT_OUTPUT_TOKENS
        rate = max(price.output_micros_per_million, price.thinking_micros_per_million)
        told_again = attempts * (attempts - 1) // 2 * output
        given = attempts * (body_bytes // 4 + 1) + told_again
        micro_tokens = given * price.input_micros_per_million + attempts * output * rate
    return _micros(price, calls * (price.per_call_micros * MILLION + micro_tokens))


def _micros(price: Price, micro_tokens: int) -> int:
    """Millionths of a micro -> whole micros at the price's factor, rounded up."""
    factor = price.factor
    return min(-(-micro_tokens * factor.numerator // (MILLION * factor.denominator)), MOST_MICROS)
