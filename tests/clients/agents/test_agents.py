"""One task from end to end: read a file by a tool call, answer with what it says."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.agents.agents import AGENTS
from tests.e2e.media import PNG_BASE64
from tests.e2e.processes import eventually
from tests.fakes.google_signatures import STAND_INS

CASES = ("file", "files_at_once", "again", "picture", "web_search", "exhausted_key")
NO_SEARCH = "its search is the model's own, which Google does not take beside functions"

by_agent = pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name.replace(" ", "-"))


@dataclass(frozen=True)
class Note:
    """A file with a word that nobody but the file knows."""

    path: Path
    word: str

    def call(self, agent):
        """What a model calls to read it."""
        return at(self.path, agent.call)


def at(path, call):
    return json.loads(json.dumps(call).replace("{path}", str(path)))


@pytest.fixture(autouse=True)
def cell(agent, request, record_property):
    """Tells the table of tests.clients.table."""
    record_property("client", agent.name)
    record_property("version", agent.version)
    record_property("case", request.function.__name__.removeprefix("test_"))
    record_property("columns", CASES)
    record_property("lacks", {} if agent.search else {"web_search": NO_SEARCH})


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    written = [Note(folder / f"note-{number}.txt", secrets.token_hex(8)) for number in range(2)]
    for note in written:
        note.path.write_text(f"The secret word is {note.word}.\n")
    return written


@pytest.fixture
def run(agent, gateway, google, key, tmp_path):
    """Give the agent a task; its final words."""
    google.reset(keep_credentials=True)

    def ran(task, **options):
        ended = agent.run(tmp_path, task, url=gateway.url, key=key, **options)
        assert ended.code == 0, ended
        return agent.answer(ended.said)

    return ran


@pytest.fixture
def key(gateway):
    return gateway.key(1000)


def results(body):
    """[(name, result)] of the last turn, after a look at the turn that called: every call as Google made it, signed."""
    called, answered = body["contents"][-2:]
    calls = [part for part in called["parts"] if "functionCall" in part]
    assert calls[0]["thoughtSignature"] not in STAND_INS
    answers = [part["functionResponse"] for part in answered["parts"] if "functionResponse" in part]
    assert [part["functionCall"].get("id") for part in calls] == [one.get("id") for one in answers]
    return [(one["name"], json.dumps(one["response"])) for one in answers]


@by_agent
def test_file(agent, run, notes, gateway, google, key):
    """A file is read by a tool and its word told. Nothing of what the agent sends gets lost."""
    note = notes[0]
    google.script("tool_call", calls=[note.call(agent)], times=1, model=agent.model)
    # The fake says what the function answered; it could not know the word otherwise.
    assert note.word in run(f"Read {note.path} and tell me the secret word in it.")
    asked, told = google.calls()[-2:]
    assert asked.scenario == "tool_call"
    assert note.word not in json.dumps(asked.body)
    [(name, result)] = results(told.body)
    assert name == agent.call["name"]
    assert note.word in result
    logged = eventually(
        lambda: (rows := gateway.hand("logged", key=key)) and len(rows) >= 2 and rows,
        "its requests are in the log",
    )
    remarks = {remark for row in logged for remark in row["dropped"]}
    assert {row["status"] for row in logged} == {200}
    assert [one for one in remarks if not any(words in one for words in agent.dropped)] == []


@by_agent
def test_files_at_once(agent, run, notes, google):
    notes = notes[: agent.calls_at_once]
    calls = [note.call(agent) for note in notes]
    google.script("parallel_calls", calls=calls, spread=True, times=1, model=agent.model)
    said = run("Read all the notes and tell me the secret words in them.")
    assert [note.word in said for note in notes] == [True for _ in notes]
    found = results(google.calls()[-1].body)
    assert [note.word in result for note, (_, result) in zip(notes, found, strict=True)] == [
        True for _ in notes
    ]


@by_agent
def test_again(agent, run, notes, google):
    """The last conversation is taken up, with what was read in it."""
    first, second = notes
    for note, again in ((first, False), (second, True)):
        google.script("tool_call", calls=[note.call(agent)], times=1, model=agent.model)
        assert note.word in run(f"Read {note.path}.", again=again)
    contents = json.dumps(google.calls()[-1].body["contents"])
    assert contents.index(first.word) < contents.index(second.word)


@by_agent
def test_picture(agent, run, google, tmp_path):
    """A picture that a tool has read gets to the model."""
    (tmp_path / "work").mkdir()
    picture = tmp_path / "work" / "dot.png"
    picture.write_bytes(base64.b64decode(PNG_BASE64))
    google.script("tool_call", calls=[at(picture, agent.look)], times=1, model=agent.model)
    run(f"Look at {picture}.")
    answered = google.calls()[-1].body["contents"][-1]
    assert '"mimeType": "image/png"' in json.dumps(answered)


@pytest.mark.parametrize(
    "agent", [agent for agent in AGENTS if agent.search], ids=lambda agent: agent.name
)
def test_web_search(agent, run, google, tmp_path):
    """A model is asked to search, in a request of its own."""
    (tmp_path / "work").mkdir()
    for call in agent.search:
        google.script("tool_call", calls=[call], times=1, model=agent.model)
    google.script("grounding", times=1, model=agent.searching_model)
    said = run("What is said of Zurich?")
    [searched] = [call for call in google.calls() if call.scenario == "grounding"]
    assert searched.body["tools"] == [{"googleSearch": {}}]
    assert "https://vertexaisearch.example/grounding/zuerich.example" in said


@by_agent
def test_exhausted_key(agent, gateway, google, tmp_path):
    """The agent gives up at once and says why."""
    google.reset(keep_credentials=True)
    (tmp_path / "work").mkdir()
    ended = agent.run(tmp_path, "hello", url=gateway.url, key=gateway.key(0))
    assert ended.code != 0
    assert agent.refusal in ended.said + ended.complained
    assert google.calls() == []
