"""What log lines must not tell."""

from __future__ import annotations

import logging
import re

_LINK = re.compile(r"(/auth/(?:link|no-more-mail)/)[^\s/?#]+")


class WithoutLinks(logging.Filter):
    """Django writes down the path of every request that fails, and in a contributor's secret link the path is the secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        line = record.getMessage()
        if "/auth/" in line:
            record.msg, record.args = _LINK.sub(r"\1…", line), ()
        return True
