"""Credits as people write them, micros as the ledger counts them. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

MICROS_PER_CREDIT = 1_000_000
MAX_CREDITS = 10**12
"""Its micros fit a 64-bit column with room to spare."""


def to_micros(credits: Decimal) -> int:
    """Raises ValueError unless 0 < credits <= MAX_CREDITS, in whole micros."""
    if not credits.is_finite() or not 0 < credits <= MAX_CREDITS:
        raise ValueError(f"credits must be above 0 and at most {MAX_CREDITS:,}")
    micros = credits * MICROS_PER_CREDIT
    if micros != micros.to_integral_value():
        raise ValueError("credits have at most six decimal places")
    return int(micros)


def parse(text: str) -> Decimal:
    """Raises ValueError when `text` is no decimal number."""
    try:
        return Decimal(text)
    except InvalidOperation as exc:
        raise ValueError(f"{text!r} is not a number of credits") from exc


def micros_or_nothing(text: str) -> int:
    """Of a setting: "0" and "" are nothing. Raises ValueError for what is no number of credits, or below zero."""
    credits = parse(text.strip() or "0")
    if not credits.is_finite() or not 0 <= credits <= MAX_CREDITS:
        raise ValueError(f"credits must be from 0 to {MAX_CREDITS:,}")
    return to_micros(credits) if credits else 0


def to_text(micros: int) -> str:
    """Without trailing zeros: 2500000 -> "2.5"."""
    whole, rest = divmod(abs(micros), MICROS_PER_CREDIT)
    sign = "-" if micros < 0 else ""
    return f"{sign}{whole}.{rest:06d}".rstrip("0") if rest else f"{sign}{whole}"
