"""The table that `make clients` prints."""

from __future__ import annotations

from types import SimpleNamespace

from tests.clients.table import Table

COLUMNS = ["chat", "bad_key"]


def report(client, case, *, passed=True, when="call", lacks=None, message="", columns=COLUMNS):
    properties = {"client": client, "version": "1.0", "case": case, "columns": columns}
    properties["lacks"] = lacks or {}
    longrepr = None if passed else SimpleNamespace(reprcrash=SimpleNamespace(message=message))
    return SimpleNamespace(
        user_properties=list(properties.items()), when=when, passed=passed, longrepr=longrepr
    )


def printed(*reports):
    table = Table()
    for one in reports:
        table.pytest_runtest_logreport(one)
    return table.text().splitlines()


def test_a_row_has_a_mark_for_every_case():
    lines = printed(report("b", "chat"), report("b", "bad_key"), report("a", "chat"))
    assert lines[1:5] == [
        "| client | version | chat | bad key |",
        "|--------|---------|------|---------|",
        "| a      | 1.0     | ✓    |         |",
        "| b      | 1.0     | ✓    | ✓       |",
    ]


def test_clients_with_other_cases_have_a_table_of_their_own():
    lines = printed(report("a", "chat"), report("b", "file", columns=["file"]))
    assert "| a      | 1.0     | ✓    |         |" in lines
    assert "| client | version | file |" in lines
    assert "| b      | 1.0     | ✓    |" in lines


def test_what_a_client_lacks_is_said():
    lines = printed(report("a", "chat", lacks={"bad_key": "it asks for none"}))
    assert "| a      | 1.0     | ✓    | –       |" in lines
    assert "– a: bad key: it asks for none" in lines


def test_a_failure_is_told_in_one_line():
    lines = printed(report("a", "chat", passed=False, message="AssertionError: 1 != 2\nand more"))
    assert "| a      | 1.0     | ✗    |         |" in lines
    assert "✗ a · chat: AssertionError: 1 != 2" in lines


def test_a_driver_that_did_not_start_is_a_failure():
    lines = printed(report("a", "chat", passed=False, when="setup", message="it died"))
    assert "✗ a · chat: it died" in lines


def test_set_up_and_tear_down_are_no_cells():
    assert "client" not in "".join(printed(report("a", "chat", when="setup")))
