from __future__ import annotations

import socket

from celery import Celery

from gateway.lib import broker


def test_the_file_system_broker_answers():
    assert broker.answers()


def test_a_broker_that_is_not_there_does_not(monkeypatch, unused_tcp_port):
    absent = Celery(broker=f"redis://127.0.0.1:{unused_tcp_port}/0", set_as_current=False)
    monkeypatch.setattr(broker, "current_app", absent)
    assert not broker.answers(timeout_s=1)


def test_a_broker_that_says_nothing_does_not(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        monkeypatch.setattr(broker, "current_app", Celery(broker=url, set_as_current=False))
        assert not broker.answers(timeout_s=1)
