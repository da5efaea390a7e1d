"""Ids of tool calls as they come back from clients."""

from __future__ import annotations

# Older gateways hid a signature behind the id, as clients strip fields they do not know (gotcha 28).
_SIGNATURE_MARKS = ("__thought__", "_TSIG_")


def split_id(call_id: str) -> tuple[str, str]:
    """(the id, the signature that an older gateway hid behind it or "")."""
    for mark in _SIGNATURE_MARKS:
        if mark in call_id:
            plain, _, signature = call_id.partition(mark)
            return plain, signature
    return call_id, ""
