"""Writes outside the hot path: balances, the life signs of processes, the sweep."""

from quotas.services.balances import adjust, count_periods, move, open_balance, set_total
from quotas.services.campaigns import save_campaign
from quotas.services.codes import Redeemed, make_codes, make_words, redeem, revoke_codes
from quotas.services.holders import beat, leave, sweep
from quotas.services.limiting import balance_for, copy_limits, save_limits, values_of
from quotas.services.lots import add_lot, expire_lots, share_out
from quotas.services.pricing import end_multiplier, end_price, set_multiplier, set_price

__all__ = [
    "Redeemed",
    "add_lot",
    "expire_lots",
    "make_codes",
    "make_words",
    "redeem",
    "revoke_codes",
    "save_campaign",
    "share_out",
    "adjust",
    "balance_for",
    "beat",
    "copy_limits",
    "count_periods",
    "end_multiplier",
    "end_price",
    "leave",
    "move",
    "open_balance",
    "save_limits",
    "set_multiplier",
    "set_price",
    "set_total",
    "sweep",
    "values_of",
]
