"""Somebody who lends, without a browser: the forms of /auth filled in, and Google's consent given."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.e2e.gateway import client_of
from tests.e2e.processes import eventually

Json = dict[str, Any]

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_CONSENT = re.compile(r'href="([^"]*/o/oauth2/v2/auth\?[^"]+)"')
_LINK = re.compile(r"https?://[^\s\"'<>]+/auth/link/[\w.=-]+")
WAITS = ("exchanging", "checking")


class Contributor:
    """`site`: the Gateway. Each has cookies of its own, as each browser has."""

    def __init__(self, site: Any) -> None:
        self.google = site.google
        self.http: httpx.Client = client_of(site.url, follow_redirects=False)
        self.flow = ""
        """The path of the attempt that was begun last."""

    def __enter__(self) -> Contributor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.http.close()

    # ------------------------------------------------------------------ pages

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def post(self, path: str, *, at: str = "", **fields: str) -> httpx.Response:
        """The form of the page `at` (or of `path` itself), sent to `path`."""
        token = _TOKEN.search(self.get(at or path).text)
        assert token, f"{at or path} has no form"
        return self.http.post(path, data={"csrfmiddlewaretoken": token[1], **fields})

    # ------------------------------------------------------------------ lending

    def begin(self, kind: str = "google", **fields: str) -> httpx.Response:
        answer = self.post("/auth", kind=kind, consent="on", **fields)
        if answer.status_code == 303:
            self.flow = urlsplit(answer.headers["location"]).path
        return answer

    def consent_url(self) -> str:
        found = _CONSENT.search(self.get(self.flow).text)
        assert found, "the page links to no consent"
        return html.unescape(found[1])

    def consents(self) -> str:
        """What the address bar shows after Google's page: an address that does not open here."""
        with httpx.Client(trust_env=False, verify=False) as browser:
            answer = browser.get(self.consent_url())
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    def paste(self, text: str) -> Json:
        """The attempt after it, once it is decided."""
        answer = self.post(self.flow, pasted=text)
        assert answer.status_code == 303, answer.text
        return self.decided()

    def state(self) -> Json:
        answer = self.http.get(self.flow, headers={"accept": "application/json"})
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def decided(self, timeout_s: float = 30) -> Json:
        def over() -> Json | None:
            told = self.state()
            return told if told["state"] not in WAITS else None

        found: Json = eventually(over, "the attempt is decided", timeout_s)
        # The page that tells so also makes the browser the contributor's.
        self.get(self.flow)
        return found

    def lends_google(self, **fields: str) -> Json:
        """From the first page to the verdict."""
        assert self.begin("google", **fields).status_code == 303
        return self.paste(self.consents())

    def lends_keys(self, *keys: str, **fields: str) -> Json:
        assert self.begin("api_key", keys="\n".join(keys), **fields).status_code == 303
        return self.decided()

    # ------------------------------------------------------------------ afterwards

    def link(self) -> str:
        """The private link, as the page shows it once."""
        found = _LINK.search(html.unescape(self.get(self.flow).text))
        assert found, "the page shows no link"
        return found[0]

    def lent(self) -> list[str]:
        """The paths of what is lent from this browser, as its private page links to them."""
        page = self.get("/auth/mine")
        assert page.status_code == 200, page.status_code
        return sorted(set(re.findall(r'href="(/auth/mine/\d+)"', page.text)))


def code_of(callback: str) -> str:
    return parse_qs(urlsplit(callback).query)["code"][0]
