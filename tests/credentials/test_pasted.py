from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.pasted import Pasted, Step, Trouble, read

STATE = "s7Qd-0Xw_3mJ1bVnHk5yTzR8uLpE2cFa"
CODE = "4/0AfJohXkQ1w2e3r4t5y6u7i8o9p-_aZsXdCfVgBhNjMkL"
SCOPE = "email%20https://www.googleapis.com/auth/cloud-platform"
ADDRESS = f"http://localhost:7861/auth/callback?state={STATE}&code={quote(CODE)}&scope={SCOPE}"
ENCODED = f"http://localhost:7861/auth/callback?state={STATE}&code={quote(CODE, safe='')}&scope={quote(SCOPE, safe='')}"
WHOLE = Pasted(CODE, STATE)


@pytest.mark.parametrize(
    "text",
    [
        ADDRESS,
        ENCODED,
        ADDRESS.removeprefix("http://"),
        quote(ENCODED, safe=""),
        quote(quote(ENCODED, safe=""), safe=""),
        ADDRESS.partition("?")[2],
        f"?{ADDRESS.partition('?')[2]}",
        f"code={CODE}&state={STATE}",
        ADDRESS.replace("&", "&amp;"),
        f"  \n\t{ADDRESS}\n\n",
        f'"{ADDRESS}"',
        f"<{ADDRESS}>",
        f"“{ADDRESS}”",
        f"[link]({ADDRESS})",
        f"Hello, here it is: {ADDRESS} thank you",
        f"Here:\n{ADDRESS}\nThanks!",
        f"> {ADDRESS}",
        f"{ADDRESS}.",
        f"\ufeff{ADDRESS[:30]}\u200b{ADDRESS[30:]}",
        f"http://127.0.0.1:1/?state={STATE}&code={CODE}#",
        f"http://[::1]:1/x?code={CODE}&state={STATE}",
        f"first try http://localhost/?state={'o' * 20}&code=4/0Older1234567890\nnow {ADDRESS}",
        f"state={STATE}\ncode={CODE}",
    ],
)
def test_the_whole_address_in_any_dress(text):
    assert read(text) == WHOLE


@pytest.mark.parametrize("at", range(len("http://localhost:7861/"), len(ADDRESS) - 40, 7))
def test_an_address_that_a_mail_program_broke_in_two(at):
    assert read(f"{ADDRESS[:at]}\n{ADDRESS[at:]}\n") == WHOLE


def test_a_code_that_was_broken_at_its_end():
    address = f"http://localhost/?state={STATE}&code={CODE}"
    assert read(f"{address[:-12]}\r\n{address[-12:]}\r\n") == WHOLE


@pytest.mark.parametrize("after", ["Thanks", "Thanks a lot 123", "see you!", "Bob"])
def test_a_word_on_the_next_line_is_no_piece_of_the_code(after):
    assert read(f"http://localhost/?state={STATE}&code={CODE}\n{after}") == WHOLE


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        quote(CODE, safe=""),
        f"'{CODE}'",
        f"code: {CODE}",
        f"code={CODE}",
        f"my code is\n{CODE}\n",
    ],
)
def test_the_code_alone(text):
    assert read(text) == Pasted(CODE)


@pytest.mark.parametrize(
    ("text", "step", "said"),
    [
        ("", Step.READING, "nothing in the box"),
        (" \n", Step.READING, "nothing in the box"),
        (f"http://localhost/?error=access_denied&state={STATE}", Step.CONSENT, "not allowed"),
        ("error=access_denied", Step.CONSENT, "not allowed"),
        ("http://localhost/?error=admin_policy_enforced", Step.CONSENT, "administrator"),
        ("http://localhost/?error=server_error", Step.CONSENT, "error instead of a code"),
        (
            "https://accounts.google.com/o/oauth2/v2/auth?response_type=code&client_id=c&state=abcdefgh",
            Step.READING,
            "Google's question",
        ),
        (
            "https://accounts.google.com/signin/v2/identifier?flowName=x",
            Step.READING,
            "Google's pages",
        ),
        ("http://127.0.0.1:1/o/oauth2/v2/auth?client_id=x", Step.READING, "Google's question"),
        ("https://example.org/auth", Step.READING, "address of this site"),
        ("https://example.org/auth/flows/6a1e", Step.READING, "address of this site"),
        (f"http://localhost:7861/?state={STATE}", Step.READING, "code is missing"),
        (f"http://localhost:7861/?state={STATE}&code=4/", Step.READING, "cut off"),
        (f"my key AIza{'0' * 35}", Step.READING, "API key"),
        (f"1//{'0a' * 20}", Step.READING, "refresh token"),
        ("I do not know what to paste", Step.READING, "no code in this"),
        ("https://example.org/", Step.READING, "no code in this"),
    ],
)
def test_what_is_wrong_is_said(text, step, said):
    trouble = read(text)
    assert isinstance(trouble, Trouble)
    assert trouble.step is step
    assert said in trouble.words


def test_a_refusal_tells_of_its_flow():
    assert read(f"http://localhost/?error=access_denied&state={STATE}").state == STATE


def test_neither_shows_what_was_pasted():
    assert CODE not in repr(WHOLE)
    assert STATE not in repr(read(f"http://localhost/?error=access_denied&state={STATE}"))


@given(st.text(max_size=400))
def test_nothing_raises(text):
    assert isinstance(read(text), Pasted | Trouble)


_PIECES = st.sampled_from(
    [
        ADDRESS,
        CODE,
        "code=",
        "state=",
        "&",
        "%",
        "%25",
        "\n",
        "&#x110000;",
        "error=",
        "4/",
        "?",
        "=\n",
        "\x00",
        "<",
        "AIza",
    ]
)


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_nothing_made_of_the_usual_pieces_raises(text):
    found = read(text)
    assert isinstance(found, Pasted | Trouble)
    if isinstance(found, Trouble):
        assert CODE not in found.words


@given(
    before=st.text("abc \n.,:!?<>\"'", max_size=40), after=st.text("abc \n.,:!?<>\"'", max_size=40)
)
def test_prose_around_the_address_does_not_matter(before, after):
    assert read(f"{before} {ADDRESS} {after}") == WHOLE


def test_a_megabyte_is_read_at_once():
    assert isinstance(read("code=" * 200_000), Trouble)
