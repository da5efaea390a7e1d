"""Who may do what, by the names under which this app's neighbours ask."""

from __future__ import annotations

from gateway.lib.access import (
    IsOperator,
    IsSteward,
    is_operator,
    is_steward,
    operators_only,
    stewards_only,
)

__all__ = [
    "IsOperator",
    "IsSteward",
    "is_operator",
    "is_steward",
    "operators_only",
    "stewards_only",
]
