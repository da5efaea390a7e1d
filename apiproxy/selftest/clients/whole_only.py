"""What the clients of endpoints that never stream have in common."""

from __future__ import annotations

from apiproxy.selftest.talk import Said, Wrong

KEEPALIVE: frozenset[bytes] = frozenset()


def read_stream(data: bytes) -> Said:
    raise Wrong("this endpoint does not stream")
