from __future__ import annotations

from apiproxy.wire.types import Credential, Outgoing


def test_what_is_printed_of_a_credential_or_a_request_holds_no_secret():
    credential = Credential(
        id=3, provider="gemini_api", token="planted-secret", project="planted-project"
    )
    outgoing = Outgoing(
        "POST", "https://host/x?key=planted-secret", {"authorization": "planted-secret"}
    )
    for value in (credential, outgoing):
        assert "planted" not in f"{value!r} {value}"
