"""Somebody with a phone (or a desk), who sees what a person sees: roles, labels and words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.processes import ROOT

SITE_NAME = "wellspring.example"
"""How browsers elsewhere reach the site."""

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1280, "height": 900}}
_TIMEOUT_MS = 15_000

# A page that refuses somebody in words; and a header for sites with https, which Chromium minds on one without.
_EXPECTED = re.compile(
    r"Failed to load resource: the server responded with a status of 4\d\d"
    r"|The Cross-Origin-Opener-Policy header has been ignored"
)


class Visitor:
    """`complaints` holds what went wrong behind the page: script errors, and requests to other origins than the site's.

    at_the_gateway: the browser runs on the gateway's own host, so that Google's answer reaches it by the loopback.
    """

    def __init__(
        self,
        browser: Any,
        site: Any,
        *,
        name: str = "",
        at_the_gateway: bool = False,
        scripts: bool = True,
        dark: bool = False,
        device: dict[str, Any] = PHONE,
    ) -> None:
        self._name = re.sub(r"[^\w-]+", "-", name)
        self._shots = 0
        self._google = urlsplit(site.google.url).netloc
        port = urlsplit(site.url).port
        self.base = f"http://127.0.0.1:{port}" if at_the_gateway else f"http://{SITE_NAME}:{port}"
        self.complaints: list[str] = []
        self.context = browser.new_context(
            **device,
            base_url=self.base,
            java_script_enabled=scripts,
            color_scheme="dark" if dark else "light",
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        self.context.set_default_timeout(_TIMEOUT_MS)
        self.context.on("request", self._look_at)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", self._listen)

    def close(self) -> None:
        self.context.close()

    # ------------------------------------------------------------------ what is watched

    def _look_at(self, request: Any) -> None:
        """A page may only ask its own site; the person may be sent to Google and back to a localhost."""
        netloc = urlsplit(request.url).netloc
        if netloc == urlsplit(self.base).netloc or request.url.startswith(("data:", "blob:")):
            return
        travels = request.is_navigation_request()
        if not (travels and (netloc == self._google or netloc.startswith("localhost:"))):
            self.complaints.append(f"asks another origin: {request.url.partition('?')[0]}")

    def _listen(self, message: Any) -> None:
        if message.type == "error" and not _EXPECTED.search(message.text):
            self.complaints.append(f"console: {message.text}")

    # ------------------------------------------------------------------ what a person does

    def go(self, path: str) -> None:
        """`path` may also be a whole address."""
        self.page.goto(path)
        self.looks_right()

    def press(self, words: str | re.Pattern[str]) -> None:
        self.page.get_by_role("button", name=words).first.click()

    def follow(self, words: str | re.Pattern[str]) -> None:
        self.page.get_by_role("link", name=words).first.click()

    def fill(self, label: str | re.Pattern[str], text: str) -> None:
        self.page.get_by_label(label).first.fill(text)

    def tick(self, label: str | re.Pattern[str]) -> None:
        self.page.get_by_label(label).first.check()

    def reads(self, words: str | re.Pattern[str], timeout_ms: int = _TIMEOUT_MS) -> None:
        """Waits until the page says so."""
        main = self.page.locator("main")
        main.get_by_text(words).first.wait_for(state="visible", timeout=timeout_ms)

    def text(self) -> str:
        return str(self.page.locator("main").inner_text())

    def copied_address(self, act: Callable[[], None]) -> str:
        """What an address bar shows when `act` led to a page that does not open, here or in another tab."""
        failed: list[str] = []

        def note(request: Any) -> None:
            if request.is_navigation_request():
                failed.append(request.url)

        self.context.on("requestfailed", note)
        act()
        for _ in range(200):
            if failed:
                break
            self.page.wait_for_timeout(50)
        self.context.remove_listener("requestfailed", note)
        if not failed:
            raise AssertionError(f"the browser opened {self.page.url}")
        for other in self.context.pages:
            if other is not self.page:
                other.close()
        return failed[-1]

    def lands(self, path: str | re.Pattern[str]) -> None:
        """Waits until the browser shows this path."""
        wanted = re.compile(f"^{re.escape(path)}$") if isinstance(path, str) else path
        self.page.wait_for_url(lambda url: bool(wanted.search(urlsplit(url).path)))
        self.looks_right()

    # ------------------------------------------------------------------ what a person sees

    def looks_right(self) -> None:
        """What anybody must be able to read and reach: names, headings, one language, nothing off the edge."""
        if (found := self.page.evaluate(_AUDIT)) != []:
            raise AssertionError(f"{self.page.url.partition('?')[0]}: {found}")

    def shot(self, name: str) -> None:
        """Into the folder `screenshots` when SCREENSHOTS=1 asks for it."""
        if not os.environ.get("SCREENSHOTS"):  # noqa: TID251
            return
        self._shots += 1
        folder = Path(ROOT) / "screenshots"
        folder.mkdir(exist_ok=True)
        file = folder / f"{self._name}-{self._shots:02d}-{name}.png"
        self.page.screenshot(path=str(file), full_page=True)


# Evaluated by the debugger, so it works where the page itself may run no scripts.
_AUDIT = """() => {
  const found = [];
  const visible = (el) => el.getClientRects().length > 0 && getComputedStyle(el).visibility !== "hidden";
  const name = (el) => [
    el.getAttribute("aria-label"),
    ...(el.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent),
    ...[...(el.labels || [])].map((label) => label.textContent),
    el.textContent, el.getAttribute("alt"), el.getAttribute("title"),
    el.tagName === "INPUT" && ["submit", "button"].includes(el.type) ? el.value : "",
    el.querySelector?.("img[alt]")?.alt,
  ].some((text) => (text || "").trim());
  const label = (el) => el.tagName.toLowerCase() + (el.name ? `[${el.name}]` : el.id ? `#${el.id}` : "");
  for (const el of document.querySelectorAll("a[href], button, input, select, textarea, summary")) {
    if (el.type !== "hidden" && visible(el) && !name(el)) found.push(`${label(el)} has no name`);
  }
  for (const el of document.querySelectorAll("img:not([alt])")) found.push(`${label(el)} has no alt`);
  const ids = [...document.querySelectorAll("[id]")].map((el) => el.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push(`id ${id} twice`);
  const levels = [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].filter(visible).map((el) => +el.tagName[1]);
  if (levels.filter((level) => level === 1).length !== 1) found.push("not one h1");
  levels.forEach((level, at) => { if (at && level > levels[at - 1] + 1) found.push(`h${level} after h${levels[at - 1]}`); });
  if (!document.documentElement.lang) found.push("no language");
  if (!document.title.trim()) found.push("no title");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main");
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 1) {
    const edge = document.documentElement.clientWidth;
    const out = [...document.querySelectorAll("main *")].filter((el) => el.getBoundingClientRect().right > edge + 1);
    found.push(`${wide} px wider than the screen: ${out.slice(0, 3).map(label)}`);
  }
  if (document.querySelector("[style], style, main script:not([src]), [onclick]")) found.push("inline style or script");
  return found;
}"""
