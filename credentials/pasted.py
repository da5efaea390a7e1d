"""What people paste when Google sent their browser to an address it cannot open: the whole address, a part of it, the code
alone, with text and line breaks around it, encoded once too often, or the wrong address altogether."""

from __future__ import annotations

import html
import re
from enum import StrEnum
from urllib.parse import unquote

from msgspec import Struct


class Step(StrEnum):
    """Where lending stopped."""

    READING = "reading"
    CONSENT = "consent"
    MATCHING = "matching"
    EXCHANGING = "exchanging"
    PROJECT = "project"
    TRYING = "trying"


class Pasted(Struct, frozen=True):
    """`state` is "" where the code stood alone."""

    code: str
    state: str = ""

    def __repr__(self) -> str:
        return "Pasted(…)"


class Trouble(Struct, frozen=True):
    """`words`: for the person who pasted; never a piece of what was pasted. `state`: of the flow it tells of, if it does."""

    step: Step
    words: str
    state: str = ""

    def __repr__(self) -> str:
        return f"Trouble({self.step})"


MAX_CHARS = 20_000
_DECODINGS = 3

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff]")
_QUOTE_MARKS = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_PIECE = re.compile(r"[\w/%=&.~+:?#-]+")
_OWN_START = re.compile(r"[a-z]+://|4/|4%2F|(?:code|state|error)=", re.IGNORECASE)
_LOOKS_RANDOM = re.compile(r"(?=.{8})(?:.*\d|.*[a-z][A-Z])")
_WORDS = re.compile(r"[\s\"'<>`|\\^{}()\[\],;“”‘’«»„‹›]+")
_CODE_CHARS = r"[0-9A-Za-z_./~+-]"
_CODE = re.compile(rf"(?:^|[?&#])code=({_CODE_CHARS}{{6,512}})")
_BARE_CODE = re.compile(r"(?:^|[^\w/])(4/[0-9A-Za-z_-]{10,512})")
_STATE = re.compile(r"(?:^|[?&#])state=([0-9A-Za-z_-]{8,256})")
_ERROR = re.compile(r"(?:^|[?&#])error=([a-z_]{3,60})")
_CUT_CODE = re.compile(r"(?:^|[?&#])code=")
_CONSENT_PAGE = re.compile(r"(?:^|[?&])(?:response_type|client_id|redirect_uri|code_challenge)=")
_GOOGLE_PAGE = re.compile(r"(?:^|/)accounts\.google\.com(?:/|$)")
_OUR_PAGE = re.compile(r"/auth(?:/flows/|/mine|/link/|/?$)")
_API_KEY = re.compile(r"(?:^|[^0-9A-Za-z_-])AIza[0-9A-Za-z_-]{30,}")
_REFRESH_TOKEN = re.compile(r"(?:^|[^\w/])1//[0-9A-Za-z_-]{20,}")

_DENIED = (
    "Google says that access was not allowed: somebody pressed Cancel there, or Google or the account's administrator does "
    "not let this account be lent. If it was a slip, open Google's page again and choose Allow."
)
_POLICY = (
    "Google refused before it could ask you: the administrator of this account does not allow programs like this site. Lend "
    "a private account, or ask the administrator."
)
_REFUSALS = {
    "access_denied": _DENIED,
    "admin_policy_enforced": _POLICY,
    "org_internal": _POLICY,
}
_OTHER_REFUSAL = (
    "Google's page ended with an error instead of a code. Open Google's page again from here; if it happens once more, tell "
    "whoever runs this site."
)


def read(text: str) -> Pasted | Trouble:
    """Never raises."""
    words = _words_of(text)
    if not words:
        return _unreadable(
            "There is nothing in the box. Copy the whole address, then paste it here."
        )
    if found := _with_code(words):
        return found
    if refused := _refused(words):
        return refused
    if bare := [match[1] for word in words if (match := _BARE_CODE.search(word))]:
        return Pasted(bare[-1])
    return _unreadable(_what_it_is(words))


def _words_of(text: str) -> list[str]:
    """What stood between blanks, quotes and brackets, decoded; lines that were broken in two are joined before."""
    clean = _QUOTE_MARKS.sub("", _INVISIBLE.sub("", text[:MAX_CHARS]).replace("\x00", ""))
    return [_decoded(word) for word in _WORDS.split(_whole_lines(clean)) if word]


def _whole_lines(text: str) -> str:
    """An address that was broken over lines goes on where it was broken."""
    whole: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if whole and _goes_on(whole[-1].rpartition(" ")[2], line):
            whole[-1] += line
        else:
            whole.append(line)
    return "\n".join(whole)


def _goes_on(before: str, piece: str) -> bool:
    """Whether a line looks like the middle of the address that the line before it began, and not like a word of its own."""
    if not _PIECE.fullmatch(piece) or not ("=" in before or "://" in before):
        return False
    if before[-1] in "=&?%":
        return True
    if _OWN_START.match(piece):
        return False
    return any(sign in piece for sign in "&=%") or _LOOKS_RANDOM.match(piece) is not None


def _decoded(word: str) -> str:
    """A code has no percent sign of its own, so decoding once too often harms nothing."""
    for _ in range(_DECODINGS):
        word = unquote(html.unescape(word))
    # An e-mail program ends a link before the full stop; people copy it along.
    return word.strip().rstrip(".")


def _with_code(words: list[str]) -> Pasted | None:
    """The last one counts: whoever tries again pastes below."""
    states = {match[1] for word in words if (match := _STATE.search(word))}
    for word in reversed(words):
        if code := _CODE.search(word):
            own = _STATE.search(word)
            return Pasted(code[1], own[1] if own else states.pop() if len(states) == 1 else "")
    return None


def _refused(words: list[str]) -> Trouble | None:
    for word in reversed(words):
        if error := _ERROR.search(word):
            state = _STATE.search(word)
            said = _REFUSALS.get(error[1], _OTHER_REFUSAL)
            return Trouble(Step.CONSENT, said, state[1] if state else "")
    return None


def _what_it_is(words: list[str]) -> str:
    for said, pattern in _MISTAKEN:
        if any(pattern.search(word) for word in words):
            return said
    return (
        "There is no code in this. After you choose Allow at Google, your browser shows a page that cannot be opened: copy "
        "everything in its address bar, from http to the end, and paste it here."
    )


_MISTAKEN = (
    (
        "This is the address of Google's question, not of its answer. Open it, choose Allow, go on until the browser shows a "
        "page that cannot be opened, and copy the address of that page.",
        _CONSENT_PAGE,
    ),
    (
        "This is still one of Google's pages. Go on there until the browser shows a page that cannot be opened, and copy the "
        "address of that page.",
        _GOOGLE_PAGE,
    ),
    (
        "The code in this address is cut off. Copy the whole address once more: tap into the address bar, select all, copy.",
        _CUT_CODE,
    ),
    (
        "The part with the code is missing in this address. Copy the whole address once more: tap into the address bar, "
        "select all, copy.",
        _STATE,
    ),
    (
        "This is the address of this site. The one that is needed is in the tab where you said yes to Google: it begins with "
        "http://localhost or http://127.0.0.1 and has code= in it.",
        _OUR_PAGE,
    ),
    ("This is an API key. Begin again and choose “Gemini API key”.", _API_KEY),
    (
        "This is a refresh token, not the code from the address bar. Nobody but you should have it; it was not kept.",
        _REFRESH_TOKEN,
    ),
)


def _unreadable(words: str) -> Trouble:
    return Trouble(Step.READING, words)
