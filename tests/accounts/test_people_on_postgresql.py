"""What happens to people at the same moment, where rows are locked one by one: on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import threading
import django; django.setup()
from django.core.management import call_command
from django.db import connection
from accounts import services
from accounts.models import Group, User
from gateway.lib.errors import Conflict

call_command("migrate", verbosity=0)
unexpected = []

def at_once(*works):
    start = threading.Barrier(len(works))
    def run(work):
        start.wait()
        try:
            work()
        except Exception as exc:
            unexpected.append(repr(exc))
        finally:
            connection.close()
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

def edits(user, **changes):
    def work():
        for number in range(30):
            services.edit_user(user=user, changes={"first_name": str(number), **changes})
    return work

def leaves(user):
    def work():
        try:
            services.edit_user(user=user, changes={"role": "member"})
        except Conflict:
            pass
    return work

def limits(group):
    def work():
        for number in range(30):
            User.objects.filter(role="member").update(balance=None)
            services.save_group(group=group, changes={}, member_limits={"day_micros": number})
    return work

first, second = (services.create_operator(username=name, password="x") for name in "ab")
group = Group.objects.create(name="Friends")
member = services.create_user(username="c", group=group)
services.issue_key(quota_micros=1, owner=member)
at_once(edits(first), edits(second))
at_once(edits(member), limits(group))
for _ in range(5):
    User.objects.filter(pk__in=[first.pk, second.pk]).update(
        role="operator", is_staff=True, is_superuser=True
    )
    at_once(leaves(first), leaves(second))
    assert User.objects.filter(role="operator").count() == 1
assert not unexpected, unexpected[:3]
"""


def test_nobody_waits_for_each_other_for_ever(postgres_url, tmp_path):
    """PostgreSQL ends one of two such transactions, and somebody would be told of an error of ours."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env={
            "DJANGO_SETTINGS_MODULE": "gateway.settings.base",
            "ENV_FILE": "",
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": postgres_url,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
