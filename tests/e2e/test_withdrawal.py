"""Taking a credential back while it is in use: it gets nothing new, what runs ends well, and only then is Google asked."""

from __future__ import annotations

import threading

import pytest

from tests.e2e.contributor import Contributor
from tests.e2e.dialects import OPENAI, ask, events_of
from tests.e2e.gateway import client_of
from tests.e2e.processes import eventually

TEXT = "one two three four five six seven eight"


@pytest.fixture
def person(gateway):
    gateway.lend()
    with Contributor(gateway) as someone:
        yield someone


def test_a_running_call_ends_well_before_the_access_at_google_is_ended(
    gateway, google, http, person
):
    login = gateway.login(client=gateway.oauth_client)
    google.consent_as = login["email"]
    assert person.lends_google()["state"] == "done"
    key = gateway.key()
    eventually(lambda: ask(http, OPENAI, key).status_code == 200, "what was lent serves")
    (loan,) = person.lent()
    credential_id = int(loan.rpartition("/")[2])

    # Well over the three seconds after which nobody waits for what does not run.
    google.script("slow", text=TEXT, count=8, interval_s=0.7)
    answers = []

    def stream():
        with client_of(gateway.url) as client:
            answers.append(ask(client, OPENAI, key, stream=True))

    running = threading.Thread(target=stream)
    before = len(google.calls())
    running.start()
    eventually(lambda: len(google.calls()) > before, "the call is under way")
    assert person.post(f"{loan}/withdraw", revoke="yes").status_code == 303

    eventually(lambda: gateway.hand("draining", credential_id=credential_id), "it is told of", 5)
    assert ask(http, OPENAI, key).status_code == 503
    while running.is_alive():
        running.join(0.05)
        asked = google.calls("revoke")
        assert not (asked and running.is_alive()), "Google was asked too early"
    (answer,) = answers
    assert OPENAI.stream_text(events_of(answer.text)) == TEXT

    eventually(lambda: len(google.calls("revoke")) == 1, "Google is asked", 40)
    eventually(lambda: not gateway.hand("draining", credential_id=credential_id), "no call runs")
    eventually(
        lambda: "Google confirmed it" in person.get(f"{loan}/receipt").text, "the receipt says so"
    )
    (stored,) = [row for row in gateway.hand("sealed") if row["id"] == credential_id]
    assert (stored["state"], stored["secret"]) == ("withdrawn", "")
    assert not google.access_tokens(login["email"])
