from __future__ import annotations

import getpass
import io
import json
import sys
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts import keys, selectors, services
from accounts.models import ApiKey, Group, User
from gateway.lib.audit import AuditEntry


def run(*arguments):
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def run_json(*arguments):
    return json.loads(run(*arguments, "--json"))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def typed(monkeypatch):
    """typed("a", "b"): a person sits there and answers the prompts so."""

    def typed(*answers):
        pending = iter(answers)
        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(getpass, "getpass", lambda prompt: next(pending))

    return typed


class TestCreateOperator:
    def test_from_an_argument(self, db):
        made = run_json("create_operator", "--username", "alice", "--password", "p")
        user = User.objects.get()
        assert made == {"id": user.pk, "username": "alice", "role": "operator"}
        assert user.is_operator
        assert user.check_password("p")

    def test_from_the_environment(self, db, settings):
        settings.OPERATOR_PASSWORD = "from-the-environment"
        assert "alice" in run("create_operator", "--username", "alice")
        assert User.objects.get().check_password("from-the-environment")

    def test_from_a_prompt(self, db, typed):
        typed("rather-long-words", "rather-long-words")
        run("create_operator", "--username", "alice")
        assert User.objects.get().check_password("rather-long-words")

    @pytest.mark.parametrize(
        ("answers", "reason"),
        [(("rather-long-words", "other"), "differ"), (("12345", "12345"), "too short")],
    )
    def test_what_a_prompt_refuses(self, db, typed, answers, reason):
        typed(*answers)
        with pytest.raises(CommandError, match=reason):
            run("create_operator", "--username", "alice")
        assert not User.objects.exists()

    def test_nobody_to_ask(self, db, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(CommandError, match="OPERATOR_PASSWORD"):
            run("create_operator", "--username", "alice")

    def test_a_taken_name(self, alice):
        with pytest.raises(CommandError, match="already exists"):
            run("create_operator", "--username", "alice", "--password", "p")


class TestCreateKey:
    def test_all_there_is_to_say(self, bob):
        before = timezone.now()
        made = run_json(
            *("create_key", "--quota", "2.5", "--description", "Team", "--owner", "bob"),
            *("--expires-days", "30", "--models", "a, *b*,"),
        )
        row = ApiKey.objects.get()
        assert keys.matches(made.pop("key"), row.digest)
        assert made == {
            "public_id": row.public_id,
            "quota": "2.5",
            "description": "Team",
            "owner": "bob",
            "expires_at": row.expires_at.isoformat(),
            "models": ["a", "*b*"],
        }
        assert row.balance.total_micros == 2_500_000
        assert timedelta(0) <= row.expires_at - before - timedelta(days=30) < timedelta(hours=1)

    def test_a_quota_is_enough(self, db):
        made = run_json("create_key", "--quota", "10")
        assert (made["owner"], made["expires_at"], made["models"]) == (None, None, [])

    def test_limits_group_and_days(self, db):
        Group.objects.create(name="team")
        made = run_json(
            *("create_key", "--unlimited", "--group", "team", "--lifetime-days", "7"),
            *("--rpm", "5", "--day-credits", "2.5", "--notes", "paid"),
        )
        row = ApiKey.objects.get()
        assert (made["quota"], made["group"], made["lifetime_days"]) == (None, "team", 7)
        assert (made["rpm"], made["day_credits"]) == (5, "2.5")
        assert (row.limits.rpm, row.limits.day_micros, row.notes) == (5, 2_500_000, "paid")
        assert row.balance.open_ended

    def test_a_template_is_enough_and_the_rest_goes_before_it(self, db):
        services.save_template(
            template=None, changes={"name": "Trial", "quota_micros": 5_000_000}, limits={"rpm": 3}
        )
        made = run_json("create_key", "--template", "Trial", "--models", "a")
        assert (made["quota"], made["rpm"], made["models"]) == ("5", 3, ["a"])
        assert run_json("create_key", "--template", "Trial", "--quota", "1")["quota"] == "1"

    def test_it_is_written_down_without_the_key(self, db):
        made = run_json("create_key", "--quota", "10")
        entry = AuditEntry.objects.get(action="keys.issue")
        assert (entry.actor, entry.subject) == ("command", f"key {made['public_id']}")
        assert made["key"][15:] not in repr(entry.__dict__)

    def test_people_read_the_key_on_its_own_line(self, db):
        lines = run("create_key", "--quota", "10").splitlines()
        assert keys.public_id_of(lines[0]) == ApiKey.objects.get().public_id

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("--quota", "0"), "above 0"),
            (("--quota=-1",), "above 0"),
            (("--quota", "ten"), "not a number"),
            (("--quota", "1", "--expires-days", "0"), "number of days"),
            (("--quota", "1", "--expires-days", "1.5"), "number of days"),
            (("--quota", "1", "--owner", "nobody"), "no user"),
            (("--quota", "1", "--group", "nobody"), "no group"),
            (("--template", "nobody"), "no template"),
            (("--quota", "1", "--unlimited"), "not allowed with"),
            (("--quota", "1", "--rpm", "-1"), "expected one|whole number"),
            (("--quota", "1", "--description", "x" * 201), "200 characters"),
            ((), "quota"),
        ],
    )
    def test_what_is_refused(self, db, arguments, reason):
        with pytest.raises(CommandError, match=reason):
            run("create_key", *arguments)
        assert not ApiKey.objects.exists()


class TestSetupLink:
    def test_the_link_is_open(self, db):
        made = run_json("setup_link", "--base-url", "http://127.0.0.1:8000/")
        assert made["url"].startswith("http://127.0.0.1:8000/setup/")
        assert made["operator_exists"] is False
        token = made["url"].rpartition("/")[2]
        assert selectors.setup_link_state(token) is selectors.LinkState.OPEN

    def test_people_read_it_on_its_own_line(self, db):
        assert run("setup_link").splitlines()[1].startswith("http://127.0.0.1:7861/setup/")

    def test_an_operator_exists(self, alice):
        assert run_json("setup_link") == {"url": None, "operator_exists": True}
        assert "An operator exists" in run("setup_link")
