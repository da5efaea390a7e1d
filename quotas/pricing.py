"""usage x price -> micros. Pure.

Which price a call has: that of its tariff's own list goes before everybody's. In each list the model's full name goes before every
glob, of the globs the one with the most literal characters wins, and of equals the one that was valid later.

Of several rows for the same pattern and tariff, the one whose time began last counts; it ends those before it for good, also
where it has an end itself. A row that ends when it begins was called off and never counts.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from math import inf, prod

from msgspec import Struct
from msgspec.structs import replace

MILLION = 1_000_000

# A bound for what one call can cost, a thousand million credits: sums of many calls still fit a 64-bit column.
MOST_MICROS = 10**15

# A reservation assumes this many output tokens when neither the client nor the price's model sets a bound.
DEFAULT_OUTPUT_TOKENS = 8_192

# Of a glob: anything, any character, one of these or none of these.
_NOT_LITERAL = re.compile(r"[*?]|\[!?\]?[^\]]*\]")

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


ONE = Fraction(1)


class PriceList:
    """What every model costs at one moment; the rules stand at the head of this file. `prices`: the later a row, the later it was
    valid.

    `multipliers`: feature of a call (anti_truncation, image_4k …) -> factor. Features that have none cost nothing.
    `tariffs`: the lists that some groups have of their own.
    """

    def __init__(
        self,
        prices: Iterable[Price],
        multipliers: Mapping[str, Fraction] | None = None,
        tariffs: Mapping[str, Sequence[Price]] | None = None,
    ) -> None:
        self._prices = list(prices)
        self._multipliers = dict(multipliers or {})
        self._tariffs = tariffs or {}
        self._known: dict[tuple[str, tuple[str, ...], str, int, int], Price] = {}

    @property
    def multipliers(self) -> Mapping[str, Fraction]:
        return self._multipliers

    def of(
        self,
        model: str,
        features: tuple[str, ...] = (),
        tariff: str = "",
        factor: Fraction = ONE,
    ) -> Price:
        """`factor`: of the group, on the whole price."""
        if features:
            # Clients' own words may be among them, which nobody should have to remember.
            features = tuple(name for name in features if name in self._multipliers)
        # A Fraction takes a microsecond to hash, its two numbers hardly anything.
        key = (model, features, tariff, factor.numerator, factor.denominator)
        price = self._known.get(key)
        if price is None:
            price = self._multiplied(self._find(model, tariff), features, factor)
            # Client-chosen names end up here: a list this long means somebody is making them up.
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[key] = price
        return price

    def _multiplied(self, price: Price, features: tuple[str, ...], factor: Fraction) -> Price:
        factors = {name: self._multipliers[name] for name in features}
        if factor != ONE:
            factors["group"] = factor
        if not factors:
            return price
        words = ", ".join(f"{name} ×{as_decimal(one)}" for name, one in factors.items())
        whole = prod(factors.values(), start=price.factor)
        return replace(price, factor=whole, features=words)

    def _find(self, model: str, tariff: str) -> Price:
        if tariff and (own := self._tariffs.get(tariff)):
            found = _best(own, model)
            if found is not None:
                return found
        return _best(self._prices, model) or FREE


def _best(prices: Sequence[Price], model: str) -> Price | None:
    best, best_rank = None, (-1, -1)
    for position, price in enumerate(prices):
        if price.pattern == model:
            return price
        if fnmatchcase(model, price.pattern):
            rank = (len(_NOT_LITERAL.sub("", price.pattern)), position)
            if rank > best_rank:
                best, best_rank = price, rank
    return best


def as_decimal(factor: Fraction) -> str:
    """As people write it; exact for what has up to six decimal places."""
    return f"{float(factor):.6f}".rstrip("0").rstrip(".")


class Dated(Struct, frozen=True):
    """A price, or a multiplier's factor, and when it counts: epoch seconds. `order` decides between equals."""

    valid_from: float
    valid_until: float
    order: int
    tariff: str = ""
    price: Price | None = None
    feature: str = ""
    factor: Fraction = ONE

    @property
    def subject(self) -> tuple[str, str, str]:
        return self.tariff, self.price.pattern if self.price else "", self.feature


class PriceBook:
    """Prices with their times: what is set for later comes into force by itself, in every process at the same second.

    `at` is asked for every call; it only compares two numbers as long as nothing changes.
    """

    def __init__(self, rows: Iterable[Dated] = ()) -> None:
        self._rows = sorted(
            (row for row in rows if row.valid_until > row.valid_from),
            key=lambda row: (row.valid_from, row.order),
        )
        self._turns = sorted(
            {row.valid_from for row in self._rows}
            | {row.valid_until for row in self._rows if row.valid_until < inf}
        )
        self._start, self._end = inf, -inf
        self._list = PriceList(())

    def at(self, now: float) -> PriceList:
        if self._start <= now < self._end:
            return self._list
        turn = bisect_right(self._turns, now)
        self._list = self.list_at(now)
        self._start = self._turns[turn - 1] if turn else -inf
        self._end = self._turns[turn] if turn < len(self._turns) else inf
        return self._list

    def list_at(self, moment: float, changes: Iterable[Dated] = ()) -> PriceList:
        """Made anew. `changes` count from the beginning of time, before everything else."""
        standing: dict[tuple[str, str, str], Dated] = {}
        for row in self._rows:
            if row.valid_from <= moment:
                # Taken out first, so that the order is that in which they began.
                standing.pop(row.subject, None)
                standing[row.subject] = row
        for row in changes:
            standing.pop(row.subject, None)
            standing[row.subject] = row
        lists: dict[str, list[Price]] = {"": []}
        factors: dict[str, Fraction] = {}
        for row in standing.values():
            if row.valid_until <= moment:
                continue
            if row.price is not None:
                lists.setdefault(row.tariff, []).append(row.price)
            else:
                factors[row.feature] = row.factor
        return PriceList(lists.pop(""), factors, lists)


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


def cost_of_many(
    price: Price,
    *,
    calls: int,
    fresh_tokens: int,
    cached_tokens: int,
    output_tokens: int,
    thinking_tokens: int,
    factor: Fraction = ONE,
) -> int:
    """Micros for the sums of many calls: at most one less for each of them than they cost one by one, which are rounded up each.
    `fresh_tokens`: of the input, without the cached ones. `factor`: of their group."""
    micro_tokens = (
        calls * price.per_call_micros * MILLION
        + fresh_tokens * price.input_micros_per_million
        + cached_tokens * price.cached_micros_per_million
        + output_tokens * price.output_micros_per_million
        + thinking_tokens * price.thinking_micros_per_million
    )
    factor = price.factor if factor is ONE else price.factor * factor
    return -(-micro_tokens * factor.numerator // (MILLION * factor.denominator))


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
