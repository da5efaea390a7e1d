from __future__ import annotations

import json
import os
from queue import Empty

import pytest
from celery import Celery

from gateway import filebroker


@pytest.fixture
def channel(tmp_path):
    filebroker.register()
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    app = Celery(broker="filesystem://localhost", set_as_current=False)
    app.conf.broker_transport_options = {
        "data_folder_in": str(tmp_path / "queue"),
        "data_folder_out": str(tmp_path / "queue"),
        "control_folder": str(tmp_path / "control"),
    }
    with app.connection_for_write() as connection, connection.channel() as channel:
        yield channel


def test_the_alias_is_ours(channel):
    assert isinstance(channel, filebroker.Channel)


def test_messages_come_out_as_they_went_in_and_in_order(channel):
    for number in range(3):
        channel._put("celery", {"n": number})
    assert [channel._get("celery")["n"] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(Empty):
        channel._get("celery")


def test_a_message_is_complete_when_it_appears(channel, monkeypatch):
    seen = []
    replace = os.replace

    def looked_at(draft, final):
        with pytest.raises(Empty):
            channel._get("celery")
        seen.append(json.loads(draft.read_text()))
        replace(draft, final)

    monkeypatch.setattr(os, "replace", looked_at)
    channel._put("celery", {"n": 1})
    assert seen == [{"n": 1}]
    assert channel._get("celery") == {"n": 1}
