"""What log lines must not tell."""

from __future__ import annotations

import logging
import re

_LINK = re.compile(
    r"(/auth/(?:link|no-more-mail)/|/claim/|/quota/s/|/account/password/reset/key/[0-9A-Za-z]+-|[?&]invite=)[^\s/?#]+"
)
# A key that came where an id belongs, as in the older gateways' /auth/keys/<key>: its public id is left.
_KEY = re.compile(r"(sk-[0-9A-Za-z]{12})[0-9A-Za-z]{8,}")


class WithoutLinks(logging.Filter):
    """Django writes down the path of every request that fails, and in a secret link the path is the secret: a contributor's, that
    by which a key is fetched, and that to a key's balance."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        if "/" in line or "sk-" in line:
            hidden = _KEY.sub(r"\1…", _LINK.sub(r"\1…", line))
            if hidden != line:
                record.msg, record.args = hidden, ()
        return True
