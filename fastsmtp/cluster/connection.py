"""The connection with the NATS servers, by nats-py: an extra of this package, imported only on a node of a cluster.

It goes to one of the servers, and to another when that is gone, for as long as it takes. Messages are not kept for a
server that is not there: who publishes has them, and is told.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.message import NATSMessage
from fastsmtp.cluster.publisher import NotConnectedError
from fastsmtp.config.cluster import ClusterSettings, ClusterTLSSettings, without_login
from fastsmtp.errors import StartError
from fastsmtp.system.loop import unless

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

_START_S: Final = 30.0  # for the first connection
_ANSWER_S: Final = 5.0
_API_S: Final = 2.0  # for the JetStream API, which is asked again
_AGAIN_S: Final = 0.25  # between two attempts at one server
_DOUBT_S: Final = 4.0
_PING_S: Final = 2  # a server that answers none of two pings is taken for dead
OnMessage = Callable[["Msg"], None]


class NATSConnection:
    """One connection of a process."""

    def __init__(self, settings: ClusterSettings, name: str, log: FilteringBoundLogger) -> None:
        """`name` is that of the node, as the servers show it."""
        self._settings: Final = settings
        self._name: Final = name
        self._log: Final = log
        self._client: Client | None = None
        self._last_fault = ""
        self._refusal = ""
        self._closing = False
        self._aborting: asyncio.Future[None] | None = None
        self._leaving: asyncio.Future[None] | None = None
        self._left_at = 0.0  # loop time
        self._refused = asyncio.Event()  # what is wrong now is wrong the next time, too
        self.on_reconnected: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Connect. Raises StartError."""
        client = self._client = _new_client()
        options = {**self._options(), **_credentials(self._settings.credentials)}
        servers = self._settings.servers
        try:
            if not await asyncio.wait_for(unless(self._refused, client.connect(servers=servers, **options)), _START_S):
                raise asyncio.TimeoutError
        except (asyncio.TimeoutError, OSError, ValueError) as error:
            self._closing = True
            raise StartError(f"no NATS server of cluster.servers answers: {self._reason(error)}") from None
        except Exception as error:  # those of nats-py have no common base but this
            raise StartError(f"{', '.join(map(without_login, servers))}: {self._reason(error)}") from None

    def _reason(self, error: Exception) -> str:
        return self._refusal or self._last_fault or str(error) or type(error).__name__

    def _options(self) -> dict[str, Any]:
        return {
            "name": self._name,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
            "reconnected_cb": self._on_reconnected,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": _AGAIN_S,
            "ping_interval": _PING_S,
            "max_outstanding_pings": 2,
            "tls": _context(self._settings),
            "skip_subject_validation": True,  # ours are made of names of namespaces
        }

    @property
    def client(self) -> Client:
        """That of nats-py."""
        assert self._client is not None
        return self._client

    @property
    def jetstream(self) -> JetStreamContext:
        """Its JetStream side."""
        return self.client.jetstream(timeout=_API_S)

    @property
    def connected(self) -> bool:
        """See `Wire`."""
        return self._client is not None and self._client.is_connected

    @property
    def max_payload(self) -> int:
        """See `Wire`."""
        return self.client.max_payload

    def doubt(self) -> None:
        """Nothing is heard: the server may be cut off from the others, and is left for another one, not too often."""
        now = asyncio.get_running_loop().time()
        if self.connected and now - self._left_at > _DOUBT_S and len(self._settings.servers) > 1:
            self._left_at = now
            self._log.warning("the NATS server is left, because nothing is heard of others")
            self._leaving = asyncio.ensure_future(self.client.force_reconnect())

    async def publish(self, message: NATSMessage, reply: str = "") -> None:
        """See `Wire`."""
        client = self.client
        if not client.is_connected:
            raise NotConnectedError
        await client.publish(message.subject, message.body, reply, message.headers or None)

    async def subscribe(self, subject: str, on_message: OnMessage) -> None:
        """Have the messages of a subject, one after the other."""

        async def guarded(message: Msg) -> None:
            try:
                on_message(message)
            except Exception:  # a fault of ours, of which nats-py would tell us no more than its text
                self._log.exception("a message cannot be handled", subject=message.subject)

        await self.client.subscribe(subject, cb=guarded, pending_bytes_limit=0, pending_msgs_limit=0)

    async def subscribe_replies(self, inbox: str, on_reply: Callable[[str, bytes], None]) -> None:
        """Have the replies to `inbox.<token>`: token and body of each."""

        await self.subscribe(f"{inbox}.*", lambda message: on_reply(message.subject.rpartition(".")[2], message.data))

    async def request(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> NATSMessage:
        """Return the answer to a message. Raises what nats-py raises, as where none comes in time."""
        from nats.errors import TimeoutError

        try:
            told = await self.client.request(subject, body, timeout=_ANSWER_S, headers=headers)
        except TimeoutError:
            self.doubt()
            raise
        return NATSMessage(told.subject, told.headers or {}, told.data)

    def new_inbox(self) -> str:
        """A subject for replies that no other connection has."""
        return self.client.new_inbox()

    async def close(self) -> None:
        """Write what is left, and close. Does not raise."""
        self._closing = True
        if self._client is not None:
            try:
                await self._client.close()
            except Exception as error:  # it raises where it was never connected, and where a server has just gone
                self._log.debug("the connection with NATS was not closed in order", reason=str(error))

    def abort(self) -> None:
        """Close without waiting; what is not written is lost."""
        self._closing = True
        if self._client is not None and not self._client.is_closed:
            self._aborting = asyncio.ensure_future(self.close())

    async def _on_error(self, error: Exception) -> None:
        self._last_fault = str(error) or type(error).__name__
        if isinstance(error, ssl.SSLError) or "authorization violation" in self._last_fault.lower():
            self._refusal = self._refusal or self._last_fault
            self._refused.set()
        self._log.debug("fault of the connection with NATS", reason=self._last_fault)

    async def _on_disconnected(self) -> None:
        if not self._closing and self._client is not None and self._client.is_reconnecting:
            self._log.warning("the NATS server is gone, connecting again", reason=self._last_fault)

    async def _on_reconnected(self) -> None:
        url = self.client.connected_url
        self._log.info("connected with NATS again", server="" if url is None else f"{url.hostname}:{url.port}")
        self.on_reconnected()


def _new_client() -> Client:
    """Raises StartError where nats-py is not installed."""
    try:
        from nats.aio.client import Client  # takes a while, and is an extra
    except ImportError:
        raise StartError(
            'the section cluster needs nats-py, which is not installed: pip install "fastsmtp-server[cluster]"'
        ) from None
    return Client()


def _context(settings: ClusterSettings) -> ssl.SSLContext | None:
    """Raises StartError."""
    tls = settings.tls
    if tls == ClusterTLSSettings() and not any(url.startswith("tls://") for url in settings.servers):
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key or None)
    except OSError as error:  # SSLError is one
        raise StartError(f"cluster.tls: {error.strerror or error}") from None
    return context


def _credentials(path: str) -> dict[str, str]:
    """How nats-py is told of a .creds file, or of one with the seed of an nkey. Raises StartError."""
    if not path:
        return {}
    try:
        text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"cluster.credentials: cannot read {path}: {error}") from None
    return {"user_credentials": path} if "-----BEGIN" in text else {"nkeys_seed_str": text.strip()}
