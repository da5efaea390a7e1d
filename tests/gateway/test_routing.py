from __future__ import annotations

from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from gateway.routing import websocket_urlpatterns


async def test_an_unknown_socket_is_refused_quietly():
    communicator = WebsocketCommunicator(URLRouter(websocket_urlpatterns), "/no/such/socket")
    connected, code = await communicator.connect()
    assert (connected, code) == (False, 4404)
