from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from queue import Empty

import pytest
from celery import Celery
from kombu.exceptions import ChannelError

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


def with_tag(number):
    return {"n": number, "properties": {"delivery_tag": f"tag-{number}"}}


@pytest.fixture
def other(channel):
    """The channel of another worker on the same folder."""
    with channel.connection.client.clone() as connection, connection.channel() as other:
        yield other


def files(channel):
    return sorted(name.partition(".")[2] for name in os.listdir(channel.data_folder_in))


def test_a_message_stays_until_it_is_acknowledged(channel, other):
    channel._put("celery", with_tag(1))
    assert channel._get("celery") == with_tag(1)
    assert files(channel) == ["celery.msg.taken"]
    other._rescue_at_s = 0
    with pytest.raises(Empty):
        other._get("celery")
    channel.basic_ack("tag-1")
    assert files(channel) == []


def test_what_a_dead_worker_held_is_given_to_the_next(channel, other):
    channel._put("celery", with_tag(1))
    channel._get("celery")
    # The kernel closes what a dead process had open, and its locks go with that.
    os.close(channel._taken.pop("tag-1").fd)
    other._rescue_at_s = 0
    assert other._get("celery") == with_tag(1)
    other.basic_ack("tag-1")
    assert files(channel) == []


def test_what_is_rejected_is_gone(channel):
    channel._put("celery", with_tag(1))
    channel._get("celery")
    channel.basic_reject("tag-1")
    assert files(channel) == []


def test_two_workers_never_take_the_same(channel, other):
    for number in range(50):
        channel._put("celery", with_tag(number))
    taken = [each._get("celery")["n"] for each in (channel, other) * 25]
    assert sorted(taken) == list(range(50))


def test_who_wants_no_acknowledgement_leaves_nothing_behind(channel):
    channel._not_acknowledged.add("celery")
    channel._put("celery", with_tag(1))
    channel._get("celery")
    assert files(channel) == []


def test_the_folders_need_not_be_there(channel):
    for name in (channel.data_folder_in, channel.control_folder):
        os.rmdir(name)
    with channel.connection.client.clone() as connection, connection.channel() as fresh:
        fresh._put("celery", with_tag(1))
        assert fresh._get("celery") == with_tag(1)


@pytest.mark.parametrize("content", ["", '{"body": "half', "[]"])
def test_a_file_that_holds_no_message_stops_nobody(channel, content):
    folder = channel.data_folder_in
    with open(os.path.join(folder, "00000000000000000001_x.celery.msg"), "w") as file:
        file.write(content)
    channel._put("celery", with_tag(1))
    assert channel._get("celery") == with_tag(1)
    channel.basic_ack("tag-1")
    assert files(channel) == []


def test_a_full_disk_is_told_and_left_as_it_was(channel, monkeypatch):
    def half(path, text):
        with path.open("w") as file:
            file.write(text[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", half)
    with pytest.raises(ChannelError):
        channel._put("celery", with_tag(1))
    assert files(channel) == []
