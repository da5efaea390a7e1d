"""The process's front door: calls go to the proxy's edge, everything a person looks at to Django, sockets to Channels."""

from __future__ import annotations

import os
import warnings
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings.base")  # noqa: TID251
_django: Any = get_asgi_application()

# WhiteNoise hands its files over as plain iterators; Django reads them in a thread, which is right for small files.
warnings.filterwarnings(
    "ignore", message="StreamingHttpResponse must consume synchronous iterators"
)

# Only now: these need Django to be set up.
from channels.routing import URLRouter  # noqa: E402

from apiproxy import asgi as proxy  # noqa: E402
from apiproxy import runtime  # noqa: E402
from gateway.front import BehindProxies, Bounded  # noqa: E402
from gateway.routing import websocket_urlpatterns  # noqa: E402
from gateway.settings.lending import UPLOAD_MAX_BYTES  # noqa: E402
from gateway.settings.listen import FORWARDED_ALLOW_IPS  # noqa: E402

# Three libraries meet here, each with its own names for ASGI's types.
Scope = Any
Receive = Any
Send = Any

_sockets: Any = URLRouter(websocket_urlpatterns)  # type: ignore[arg-type]
# Pages need the visitor's scheme and address; calls do not, and do not pay for it. Somewhat large uploads are refused by their pages.
_pages: Any = BehindProxies(
    Bounded(_django, most_bytes=2 * UPLOAD_MAX_BYTES), trusted_hosts=FORWARDED_ALLOW_IPS
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    kind = scope["type"]
    if kind == "http":
        if scope["path"].startswith(proxy.PREFIXES):
            await proxy.application(scope, receive, send)
        else:
            await _pages(scope, receive, send)
    elif kind == "websocket":
        await _sockets(scope, receive, send)
    elif kind == "lifespan":
        await _lifespan(receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await runtime.start()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await runtime.stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
