from __future__ import annotations

import pytest

from credentials.words import explain


@pytest.mark.parametrize(
    ("state", "reason", "verdict"),
    [
        ("active", "rule 3: rate_limited", "works"),
        ("cooling", "", "rate-limited"),
        ("cooling", "rule 3: rate_limited", "rate-limited"),
        ("cooling", "rule 3: token_refused", "resting by rule 3"),
        ("cooling", "rule 3: proxy_failed", "its proxy does not answer"),
        ("needs_attention", "rule 3: token_refused", "taken out by rule 3"),
        ("needs_attention", "AUTO_BAN: suspended", "taken out by AUTO_BAN"),
        ("disabled", "suspended", "disabled"),
    ],
)
def test_where_a_rule_decided_it_is_named_unless_the_reason_says_enough(state, reason, verdict):
    assert explain(state, reason).verdict == verdict
