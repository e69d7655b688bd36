"""AUTH of one session (RFC 4954 section 4): from the command over its responses to the credentials."""

from __future__ import annotations

from typing import Final

from fastsmtp.smtp import auth, policy, replies, violations
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.memory import memory_of
from fastsmtp.smtp.peer import XCLIENT_LOGIN
from fastsmtp.smtp.sessionsettings import SessionSettings

_GROWTH: Final = 3  # octets of memory for one of base64, at most: three octets of four, in four each


class Authentication:
    """The exchange that is under way, if there is one: then the lines of the client are responses, not commands."""

    __slots__ = ("_exchange", "_gate", "_settings", "captured", "held")

    def __init__(self, settings: SessionSettings, gate: Gate) -> None:
        self._settings: Final = settings
        self._gate: Final = gate
        self._exchange: auth.Exchange | None = None
        self.held = 0  # octets in memory of the exchange that is under way, about
        self.captured: auth.Captured | None = None  # while a plan is asked about it

    @property
    def under_way(self) -> bool:
        """Whether the next line is a response."""
        return self._exchange is not None

    def stop(self) -> None:
        """End the exchange: a line was refused."""
        self._exchange = None
        self.held = 0

    def start(self, argument: str) -> None:
        """Take the argument of AUTH: the mechanism, and maybe an initial response."""
        gate = self._gate
        peer, out = gate.peer, gate.out
        if peer.credentials is not None and peer.credentials.mechanism != XCLIENT_LOGIN:
            out.reply(replies.ALREADY_AUTHENTICATED)
            return
        if not peer.esmtp and not gate.forgive(violations.AUTH_WITHOUT_EHLO):
            return
        mechanism, _, initial = argument.strip(" \t").partition(" ")
        peer.auth_attempted = True
        exchange = auth.start_exchange(mechanism.upper(), self._settings.make_nonce(), self._settings.hostname)
        initial = initial.strip(" \t")
        if not mechanism:
            out.reply(replies.BAD_ARGUMENT)
        elif exchange is None:
            out.reply(replies.UNKNOWN_MECHANISM)
        elif not initial:
            self._challenge(exchange, exchange.challenge())
        elif not exchange.takes_initial_response:
            out.reply(replies.NO_INITIAL_RESPONSE)
        else:
            self._exchange = exchange
            # "a single equals sign ... indicates that the response is present, but contains no data" (RFC 4954 4)
            self.respond("" if initial == "=" else initial)

    def respond(self, text: str) -> None:
        """Take a response of the exchange that is under way."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        out = self._gate.out
        octets, self.held = self.held + memory_of(text) * _GROWTH, 0
        if not self._gate.has_room(octets, refusal=replies.NO_ROOM_FOR_LOGIN):
            return
        if text == "*":
            out.reply(replies.AUTH_CANCELLED)
            return
        try:
            answer = exchange.respond(auth.decode_response(text.rstrip(" \t")))
        except auth.ResponseError:
            out.reply(replies.BAD_BASE64)
            return
        if isinstance(answer, auth.Captured):
            self._take(answer)
        else:
            self.held = octets
            self._challenge(exchange, answer)

    def _challenge(self, exchange: auth.Exchange, challenge: bytes) -> None:
        self._exchange = exchange
        self._gate.out.reply(replies.challenge(auth.encode_challenge(challenge)))

    def finish(self) -> None:
        """Take the credentials about which a plan was asked."""
        captured, self.captured = self.captured, None
        assert captured is not None
        self._take(captured)

    def _take(self, captured: auth.Captured) -> None:
        gate, credentials = self._gate, captured.credentials
        if not captured.well_formed and not gate.forgive(violations.MALFORMED_CREDENTIALS, credentials.mechanism):
            return
        if gate.lets(policy.AUTH, credentials.mechanism, credentials=credentials):
            gate.peer.credentials = credentials
            gate.out.reply(replies.AUTHENTICATED)
        elif gate.asking is not None:
            self.captured = captured
