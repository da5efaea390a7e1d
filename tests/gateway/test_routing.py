from __future__ import annotations

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from gateway.routing import websocket_urlpatterns

SOCKETS = URLRouter(websocket_urlpatterns)


async def test_an_unknown_socket_is_refused_quietly():
    communicator = WebsocketCommunicator(SOCKETS, "/no/such/socket")
    connected, code = await communicator.connect()
    assert (connected, code) == (False, 4404)


async def test_responses_are_asked_for_by_post():
    communicator = WebsocketCommunicator(SOCKETS, "/v1/responses")
    await communicator.send_input({"type": "websocket.connect"})
    start, body = [await communicator.receive_output() for _ in range(2)]
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 426)
    assert body["type"] == "websocket.http.response.body"
    await communicator.wait()
