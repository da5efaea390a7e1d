"""usage x price -> micros. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from msgspec import Struct

MILLION = 1_000_000

# A bound for what one call can cost, a thousand million credits: sums of many calls still fit a 64-bit column.
MOST_MICROS = 10**15

# A reservation assumes this many output tokens when neither the client nor the price's model sets a bound.
DEFAULT_OUTPUT_TOKENS = 8_192


class Price(Struct, frozen=True):
    """Rates are micros per million tokens; the cached part of the input costs `cached` instead of `input`."""

    pattern: str
    per_call_micros: int = 0
    input_micros_per_million: int = 0
    cached_micros_per_million: int = 0
    output_micros_per_million: int = 0
    thinking_micros_per_million: int = 0

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
    """The price of a model: its own name wins, then the glob with the most literal characters, then the later one."""

    def __init__(self, prices: Iterable[Price]) -> None:
        self._prices = list(prices)
        self._known: dict[str, Price] = {}

    def of(self, model: str) -> Price:
        price = self._known.get(model)
        if price is None:
            price = self._find(model)
            # Client-chosen names end up here: a list this long means somebody is making them up.
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[model] = price
        return price

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


def token_cost(
    price: Price, *, input_tokens: int, cached_tokens: int, output_tokens: int, thinking_tokens: int
) -> int:
    """Micros for the tokens alone, rounded up once. `input_tokens` includes the cached ones."""
    micro_tokens = (
        max(input_tokens - cached_tokens, 0) * price.input_micros_per_million
        + cached_tokens * price.cached_micros_per_million
        + output_tokens * price.output_micros_per_million
        + thinking_tokens * price.thinking_micros_per_million
    )
    return min(-(-micro_tokens // MILLION), MOST_MICROS)


def estimate(price: Price, *, body_bytes: int, max_output_tokens: int | None) -> int:
    """What is reserved for a call: never less than a call without tokens costs.

    Four bytes of JSON are taken for a token; output is taken at its bound, all of it at the dearer of the two rates.
    """
    if not price.by_token:
        return price.per_call_micros
    output = max_output_tokens if max_output_tokens is not None else DEFAULT_OUTPUT_TOKENS
    rate = max(price.output_micros_per_million, price.thinking_micros_per_million)
    micro_tokens = (body_bytes // 4 + 1) * price.input_micros_per_million + output * rate
    return min(price.per_call_micros + -(-micro_tokens // MILLION), MOST_MICROS)
