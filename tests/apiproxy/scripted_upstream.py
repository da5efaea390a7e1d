"""A server that sends exactly the bytes a test wants, on both event loops that the gateway may run on."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import ipaddress
import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def each_loop(test):
    """Runs a coroutine test on each loop; a task that is left behind makes it time out."""

    def run(loop, **fixtures):
        async def checked():
            async with asyncio.timeout(20):
                await test(**fixtures)
                await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(checked())

    signature = inspect.signature(test)
    loop = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), loop])
    run.__name__ = test.__name__
    return pytest.mark.parametrize("loop", LOOPS)(run)


async def until(condition):
    """Waits for what the other side of a socket brings about."""
    while not condition():  # noqa: ASYNC110 - a socket sets no event
        await asyncio.sleep(0.001)


class Peer:
    """The server's end of one connection. `gone`: the client's end is closed."""

    def __init__(self, server, reader, writer):
        self._server = server
        self.reader = reader
        self.writer = writer
        self.number = len(server.peers)
        self.gone = asyncio.Event()

    async def request(self):
        """The next whole request as (head, body); None when the client has left."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.decode().lower().split("\r\n"):
                if line.startswith("content-length:"):
                    length = int(line.partition(":")[2])
            body = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            self.gone.set()
            return None
        self._server.requests.append((head.decode(), body))
        return head.decode(), body

    def send(self, data):
        self.writer.write(data)

    def close(self):
        self.writer.close()

    def reset(self):
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def wait_gone(self):
        with suppress(OSError):
            while await self.reader.read(65536):
                pass
        self.gone.set()


class Server:
    def __init__(self):
        self.peers = []
        self.requests = []
        self.port = 0
        self.url = ""

    @property
    def open(self):
        return sum(not peer.gone.is_set() for peer in self.peers)


@asynccontextmanager
async def serving(handler, *, tls=None, host="127.0.0.1"):
    """`handler(peer)` plays one connection; when it returns, the connection stays until the client leaves."""
    server = Server()
    tasks = []

    async def play(peer):
        with suppress(asyncio.CancelledError):
            await handler(peer)
            await peer.wait_gone()
        peer.writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await peer.writer.wait_closed()

    def connected(reader, writer):
        peer = Peer(server, reader, writer)
        server.peers.append(peer)
        tasks.append(asyncio.ensure_future(play(peer)))

    listener = await asyncio.start_server(connected, host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    literal = f"[{host}]" if ":" in host else host
    server.url = f"{'https' if tls else 'http'}://{literal}:{server.port}"
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        for failure in await asyncio.gather(*tasks, return_exceptions=True):
            if failure is not None:
                raise failure


async def always_ok(peer):
    while await peer.request():
        peer.send(OK)


def answering(*pieces):
    """Answers every request with these writes, a loop turn apart."""

    async def handler(peer):
        while await peer.request():
            for piece in pieces:
                peer.send(piece)
                await asyncio.sleep(0)

    return handler


def certificate(folder):
    """(server context, client context) that trust each other: a certificate for localhost and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "pair.pem"
    pem.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cafile=pem)
    return server, client
