"""Event streams and streamed JSON arrays, cut by bytes.

Lines end with LF, CRLF or CR and with nothing else: U+2028, U+2029 and U+0085 may stand raw inside a JSON text, and a
character may be split over two reads, so nothing is decoded here (reference 2.5, 4.5). Every byte is looked at a fixed
number of times, however long a line is: an image is one line of several megabytes.
"""

from __future__ import annotations

import re

_BOM = b"\xef\xbb\xbf"
_NOISE = (b"", b"[DONE]")

_OUTSIDE_STRING = re.compile(rb'[{}\[\]"]')
_INSIDE_STRING = re.compile(rb'["\\]')
_OPENING = re.compile(rb"[{\[]")
_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_OPENERS = b"{["


class EventParser:
    """Server-sent events -> the data of each event.

    Comments, `event:` and `id:` lines, empty events and `[DONE]` give nothing. A JSON text that stands bare in the
    stream (Google writes errors so, over many lines) is one event. What is incomplete at the end comes out of `close`
    as it is, so that whoever parses it sees that the stream was cut.
    """

    __slots__ = ("_after_cr", "_balance", "_bare", "_data", "_line")

    def __init__(self) -> None:
        self._line: list[bytes] = []
        """Pieces of the line under way."""
        self._data: list[bytes] = []
        """Data lines of the event under way."""
        self._bare: list[bytes] = []
        """Lines of the bare JSON text under way."""
        self._balance = _Balance()
        self._after_cr = False
        """The last byte was a CR, which ended its line: an LF that follows belongs to it."""

    def feed(self, data: bytes) -> list[bytes]:
        gap = b"\r\n\r\n" if b"\r" in data else b"\n\n"
        if self._between_events() and (whole := _whole_events(data, gap)) is not None:
            return whole
        events: list[bytes] = []
        if not self._between_events() and (end := data.find(gap)) >= 0:
            end += len(gap)
            self._take_lines(data[:end], events)
            data = data[end:]
        if self._between_events() and (end := data.rfind(gap)) >= 0:
            end += len(gap)
            if (whole := _whole_events(data[:end], gap)) is not None:
                events += whole
                data = data[end:]
        self._take_lines(data, events)
        return events

    def close(self) -> list[bytes]:
        events: list[bytes] = []
        if self._line:
            line = b"".join(self._line)
            self._line.clear()
            self._take_line(line, events)
        self._end_event(events)
        self._end_bare(events)
        return events

    def _between_events(self) -> bool:
        return not (self._line or self._data or self._bare or self._after_cr)

    def _take_lines(self, data: bytes, events: list[bytes]) -> None:
        if not data:
            return
        if self._after_cr:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        unfinished = lines.pop()
        if lines and self._line:
            lines[0] = b"".join((*self._line, lines[0]))
            self._line.clear()
        for line in lines:
            self._take_line(line, events)
        if unfinished:
            self._line.append(unfinished)

    def _take_line(self, line: bytes, events: list[bytes]) -> None:
        line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._end_bare(events)
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif self._bare:
            self._take_bare(line, events)
        elif not line:
            self._end_event(events)
        elif line.lstrip()[:1] in (b"{", b"["):
            self._end_event(events)
            self._take_bare(line, events)

    def _take_bare(self, line: bytes, events: list[bytes]) -> None:
        start = 0
        while (end := self._balance.end(line, start)) >= 0:
            self._bare.append(line[start:end])
            self._end_bare(events)
            following = _OPENING.search(line, end)
            if following is None:
                return
            start = following.start()
        self._bare.append(line[start:])

    def _end_event(self, events: list[bytes]) -> None:
        if self._data:
            _add(b"\n".join(self._data), events)
            self._data.clear()

    def _end_bare(self, events: list[bytes]) -> None:
        if self._bare:
            _add(b"\n".join(self._bare), events)
            self._bare.clear()
            self._balance = _Balance()


class ArrayParser:
    """A JSON array written piece by piece (Gemini without `alt=sse`) -> the text of each of its objects.

    An object that stands alone, as an error may, is taken too. An unfinished object comes out of `close` as it is.
    """

    __slots__ = ("_balance", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._balance = _Balance()

    def feed(self, data: bytes) -> list[bytes]:
        elements: list[bytes] = []
        at = 0
        while at < len(data):
            if not self._pieces and (at := data.find(b"{", at)) < 0:
                break
            end = self._balance.end(data, at)
            if end < 0:
                self._pieces.append(data[at:])
                break
            self._pieces.append(data[at:end])
            elements.append(b"".join(self._pieces))
            self._pieces.clear()
            at = end
        return elements

    def close(self) -> list[bytes]:
        if not self._pieces:
            return []
        rest = b"".join(self._pieces)
        self._pieces.clear()
        self._balance = _Balance()
        return [rest]


class _Balance:
    """Finds where a JSON value ends, piece by piece; brackets inside strings do not count."""

    __slots__ = ("_depth", "_escaped", "_in_string")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def end(self, data: bytes, at: int) -> int:
        """The index behind the bracket that closes the value, or -1 when it goes on in the next piece."""
        if self._escaped and at < len(data):
            self._escaped = False
            at += 1
        while True:
            pattern = _INSIDE_STRING if self._in_string else _OUTSIDE_STRING
            found = pattern.search(data, at)
            if found is None:
                return -1
            at = found.end()
            sign = data[at - 1]
            if sign == _QUOTE:
                self._in_string = not self._in_string
            elif sign == _BACKSLASH:
                self._escaped = at == len(data)
                at += 1
            elif sign in _OPENERS:
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth <= 0:
                    return at


def _add(payload: bytes, events: list[bytes]) -> None:
    if payload.strip() not in _NOISE:
        events.append(payload)


def _whole_events(block: bytes, gap: bytes) -> list[bytes] | None:
    """The usual case in a few calls: nothing but complete events of one `data: ` line each. None: another case."""
    if not (block.startswith(b"data: ") and block.endswith(gap)):
        return None
    events = block[6 : -len(gap)].split(gap + b"data: ")
    line_ends = 2 * len(events)
    if block.count(b"\n") != line_ends:
        return None
    if len(gap) == 4 and block.count(b"\r") != line_ends:
        return None
    return [event for event in events if event[:1] == b"{" or event.strip() not in _NOISE]
