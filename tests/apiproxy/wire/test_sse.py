import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiproxy.wire.sse import ArrayParser, EventParser


def parse(*pieces, parser=EventParser):
    one = parser()
    return [event for piece in pieces for event in one.feed(piece)] + one.close()


def in_pieces(data, sizes):
    at, turn = 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        yield data[at : at + size]
        at, turn = at + size, turn + 1


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b'data: {"a":1}\n\ndata: {"b":2}\n\n', [b'{"a":1}', b'{"b":2}']),
        (b'data: {"a":1}\r\n\r\ndata: {"b":2}\r\n\r\n', [b'{"a":1}', b'{"b":2}']),
        (b'data: {"a":1}\r\rdata: {"b":2}\r\r', [b'{"a":1}', b'{"b":2}']),
        (b'data: {"a":\ndata: 1}\n\n', [b'{"a":\n1}']),
        (b'data:{"a":1}\n\n', [b'{"a":1}']),
        (b': hello\n\nevent: x\nid: 7\nretry: 3\ndata: {"a":1}\n\n', [b'{"a":1}']),
        (b'\n\n\r\n\ndata: {"a":1}\n\n\n\n', [b'{"a":1}']),
        (b'\xef\xbb\xbfdata: {"a":1}\n\n', [b'{"a":1}']),
        (b'data: {"a":1}\n\ndata: [DONE]\n\n', [b'{"a":1}']),
        (b'data: {"a":1}\n\ndata: \n\ndata:\n\n', [b'{"a":1}']),
        (b'data: {"a":1}', [b'{"a":1}']),
        (b'data: {"a":1}\n', [b'{"a":1}']),
        (b'data: {"a":1}\n\ndata: {"b"', [b'{"a":1}', b'{"b"']),
        (b"", []),
    ],
    ids=[
        "lf", "crlf", "cr", "several data lines", "no space", "other lines", "empty events", "bom",
        "done", "empty data", "unterminated line", "unterminated event", "cut", "nothing",
    ],
)  # fmt: skip
def test_forms_of_an_event_stream(stream, events):
    assert parse(stream) == events
    assert parse(*in_pieces(stream, [1])) == events


def test_a_whole_chunk_of_usual_events_may_hold_noise_too():
    assert parse(b'data: [DONE]\n\ndata: {"a":1}\n\ndata: \n\n') == [b'{"a":1}']


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085", "é", "🏔"])
def test_unicode_line_ends_and_torn_characters_stay_inside_an_event(character):
    stream = f'data: {{"a":"x{character}y"}}\n\n'.encode()
    for cut in range(len(stream)):
        (event,) = parse(stream[:cut], stream[cut:])
        assert json.loads(event) == {"a": f"x{character}y"}


def test_events_come_out_as_soon_as_they_are_complete():
    parser = EventParser()
    assert parser.feed(b'data: {"a":1}\n') == []
    assert parser.feed(b'\ndata: {"b"') == [b'{"a":1}']
    assert parser.feed(b":2}\r\n\r") == [b'{"b":2}']
    assert parser.feed(b"\n") == []
    assert parser.close() == []


@pytest.mark.parametrize(
    "text", ['{"error":\n  {"message":\n "a }{ \\" ] b"}}', '[{\n"error": {}}\n]']
)
def test_bare_json_over_many_lines_is_one_event(text):
    stream = b'data: {"a":1}\r\n\r\n' + text.encode() + b'\ndata: {"b":2}\n\n'
    events = parse(stream)
    assert [json.loads(event) for event in events] == [{"a": 1}, json.loads(text), {"b": 2}]


def test_bare_json_comes_out_when_it_is_complete():
    parser = EventParser()
    assert parser.feed(b'{\n  "error": {}\n') == []
    assert [json.loads(event) for event in parser.feed(b"}\n")] == [{"error": {}}]


def test_bare_json_that_never_ends_does_not_swallow_what_follows():
    assert parse(b'{"cut": \ndata: {"a":1}\n\n')[-1] == b'{"a":1}'


def test_a_cut_bare_json_comes_out_at_the_end():
    assert parse(b'data: {"a":1}\n\n{"error": {') == [b'{"a":1}', b'{"error": {']


def test_several_bare_values_on_one_line():
    assert parse(b'{"a":1},{"b":2}\n') == [b'{"a":1}', b'{"b":2}']


def test_a_line_of_many_megabytes_in_small_pieces():
    body = b'{"a":"' + b"A" * (4 << 20) + b'"}'
    parser = EventParser()
    events = []
    for piece in in_pieces(b"data: " + body + b"\r\n\r\n", [1500]):
        events += parser.feed(piece)
    assert events == [body]


@pytest.mark.parametrize(
    ("stream", "elements"),
    [
        (b'[{"a":1}\n,\r\n{"b":[2]}\n]', [b'{"a":1}', b'{"b":[2]}']),
        (b'[{\n "a": "]}{[\\""\n}]', [b'{\n "a": "]}{[\\""\n}']),
        (b"[]", []),
        (b'{"error":{}}', [b'{"error":{}}']),
        (b'[{"a":1},{"b"', [b'{"a":1}', b'{"b"']),
    ],
    ids=["two", "brackets in a string", "empty", "a bare object", "cut"],
)
def test_forms_of_an_array(stream, elements):
    assert parse(stream, parser=ArrayParser) == elements
    assert parse(*in_pieces(stream, [1]), parser=ArrayParser) == elements


def test_array_elements_come_out_as_soon_as_they_are_complete():
    parser = ArrayParser()
    assert parser.feed(b'[{"a":') == []
    assert parser.feed(b'1},{"b":2}') == [b'{"a":1}', b'{"b":2}']


TEXTS = st.text(st.sampled_from('ab {}[]":,\\\n\r\t\u0085\u2028\u2029é漢🏔'), max_size=12)
VALUES = st.recursive(
    TEXTS | st.integers(-9, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3)
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def written(value, indent):
    return json.dumps(value, ensure_ascii=False, indent=indent)


@st.composite
def event_streams(draw):
    """The bytes of a stream and the values of its events."""
    stream, values = "\ufeff" if draw(st.booleans()) else "", []
    for _ in range(draw(st.integers(0, 5))):
        newline = draw(NEWLINES)
        form = draw(st.sampled_from(["usual", "tight", "many", "bare", "noise"]))
        value = draw(OBJECTS)
        lines = written(value, 1 if form in ("many", "bare") else None).split("\n")
        if form == "noise":
            noise = (": note", "event: x", "", "data: [DONE]", "data:", "id: 1")
            lines = draw(st.lists(st.sampled_from(noise), min_size=1, max_size=3))
            # `data: [DONE]` is noise only where it is the whole event.
            lines = [line + newline if line.startswith("data") else line for line in lines]
        else:
            values.append(value)
            prefix = {"usual": "data: ", "many": "data: ", "tight": "data:", "bare": ""}[form]
            lines = [prefix + line for line in lines]
        stream += newline.join(lines) + newline * draw(st.integers(2, 3))
    if draw(st.booleans()):
        values.append(value := draw(OBJECTS))
        stream += "data: " + written(value, None) + draw(st.sampled_from(["", "\n"]))
    return stream.encode(), values


@settings(deadline=None)
@given(event_streams(), SIZES)
def test_any_split_of_an_event_stream_gives_the_same_events(generated, sizes):
    stream, values = generated
    whole = parse(stream)
    assert [json.loads(event) for event in whole] == values
    assert parse(*in_pieces(stream, sizes)) == whole


@settings(deadline=None)
@given(st.lists(OBJECTS, max_size=4), NEWLINES, st.sampled_from([None, 2]), SIZES)
def test_any_split_of_an_array_gives_the_same_elements(values, newline, indent, sizes):
    pieces = [written(value, indent) for value in values]
    stream = ("[" + f"{newline},{newline}".join(pieces) + newline + "]").encode()
    whole = parse(stream, parser=ArrayParser)
    assert [json.loads(element) for element in whole] == values
    assert parse(*in_pieces(stream, sizes), parser=ArrayParser) == whole


NOISY_BYTES = st.lists(
    st.sampled_from(
        [b"data:", b"data: ", b" ", b"\n", b"\r", b"\n\n", b"\r\n\r\n", b"{", b"}", b"[", b"]",
         b'"', b"\\", b":", b"x", b"[DONE]", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b'data: {"a":1}\n\n']
    )
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("parser", [EventParser, ArrayParser])
@settings(deadline=None)
@given(stream=NOISY_BYTES, sizes=SIZES)
def test_any_split_of_any_bytes_gives_the_same(parser, stream, sizes):
    assert parse(*in_pieces(stream, sizes), parser=parser) == parse(stream, parser=parser)
