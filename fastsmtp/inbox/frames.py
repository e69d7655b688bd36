"""The frames between SMTP processes and the inbox: Goridge frames over a private Unix socket.

| frame    | from  | options                                | frame payload                                            |
|----------|-------|----------------------------------------|----------------------------------------------------------|
| mail     | SMTP  | lengths of context and head, number    | head and payload, both JSON: the context; then the raw   |
| verdicts | inbox | none                                   | JSON: a list of [number, what was wrong], "" = committed |
| orders   | inbox | number                                 | JSON: an `Orders`                                        |
| counts   | SMTP  | none                                   | JSON: a `Counts`                                         |
| question | SMTP  | number                                 | JSON: an `Asking`                                        |
| decision | inbox | number, 0                              | JSON: a `Decided`, or null                               |
| census   | inbox | number, 0, 0                           | JSON: the name of a namespace; `Counts.census` answers   |

Numbers say which mail a verdict is about, or which question a decision; they are the sender's and recur after 2^32.
Negative ones are those of counts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from fastsmtp.capture.email import Segment
from fastsmtp.capture.handling import Handling
from fastsmtp.delivery.deferred import Stretch, octets_of
from fastsmtp.errors import FrameError
from fastsmtp.faults.actions import Action
from fastsmtp.faults.question import Question
from fastsmtp.goridge.frame import CODEC_JSON, Frame, FrameDecoder, encode_frame, frame_header
from fastsmtp.inbox.documents import LARGE, Octets

T = TypeVar("T")

MAX_FRAME_BYTES: Final = 1 << 31  # of a mail with its payload; the size of mail data has its own limit
MAX_NUMBER: Final = 1 << 32
_HEADER_WORDS: Final = 3  # of a Goridge frame without options


class Head(msgspec.Struct, frozen=True):
    """What is said of a mail beside its payload. `spool` is the name of a file that has the raw mail, "" = the body.

    A mail that has a `counted` is counted only, and has neither payload nor body. `faults` are pairs of the rule of a
    plan and what it did; `worker` is what a worker did with the mail.
    """

    namespaces: list[str]
    received_at: int  # Unix time in milliseconds
    outcome: str
    spool: str = ""
    counted: Counted | None = None
    faults: list[tuple[str, str]] = []
    worker: Handling | None = None


class Counted(msgspec.Struct, frozen=True):
    """All that is known of a mail that is counted only."""

    uuid: str
    size: int  # octets


class Uncounted(msgspec.Struct, frozen=True):
    """A mail that was refused though it may have been counted: its frame had this number."""

    number: int
    namespaces: list[str]
    outcome: str


class PlanOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the plan of a namespace wants to be asked. Its number says which plan it is: no other ever has it."""

    number: int
    stages: frozenset[str]
    marks: tuple[int, ...] = ()  # at `body`: after so many octets of the mail
    counts_connections: bool = False  # questions are to say how many there are


class Orders(msgspec.Struct, frozen=True):
    """What the inbox wants of each SMTP process."""

    ports: dict[str, str] = {}  # where a namespace listens for itself, by its name
    counting: frozenset[str] = frozenset()  # namespaces of which mails are counted only
    # Plans by namespace, of those that have changed; None: there is none any more.
    plans: dict[str, PlanOrder | None] = {}
    spool: str = ""  # directory for files that are named in a `Head`, "" = there are to be none


class Asking(msgspec.Struct, frozen=True):
    """A question to the plans of these namespaces. The first that acts decides."""

    namespaces: list[str]
    question: Question


class Decided(msgspec.Struct, frozen=True):
    """What the plan of a namespace, its order has this number, does to a command; the action's delay was drawn."""

    namespace: str
    number: int
    rule: str
    action: Action
    delay_s: float


class ListeningReport(msgspec.Struct, frozen=True):
    """Where a process listens: at the ports of the frame with this number, and at its own addresses."""

    number: int
    wrong: dict[str, str]  # by namespace: why it does not listen there
    addresses: list[str]


class Gauges(msgspec.Struct, frozen=True):
    """How an SMTP process is at the moment. `waiting` are mails for which no worker is free."""

    connections: int = 0
    workers: int = 0
    busy: int = 0
    waiting: int = 0


class Counts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened since the last such frame, by namespace and event; and mails that were refused after all.

    Of these `withdrawn` are uuids, `uncounted` those that have a `Counted`.

    The first frame of a connection has `process`, which names the sender, and `open`: what is in flight in it, but for
    what it has told, or will, in frames that it does not know to be committed.
    """

    events: dict[str, dict[str, int]] = {}
    withdrawn: list[str] = []
    uncounted: list[Uncounted] = []
    number: int = 0  # of `events`; they grow, and a verdict says the negative one
    process: str = ""
    open: dict[str, int] = {}
    left: bool = False  # nothing comes any more
    listening: ListeningReport | None = None  # where that has changed
    gauges: Gauges | None = None  # likewise
    census: tuple[int, int] | None = None  # the number of such a frame, and how many connections the namespace has


class MailFrame(msgspec.Struct, frozen=True):
    """A mail as it arrived."""

    number: int
    head: Head
    payload: Octets
    raw: Octets


class QuestionFrame(msgspec.Struct, frozen=True):
    """A question to plans as it arrived."""

    number: int
    asking: Asking


class LinkDecoder:
    """Cuts what an SMTP process sends into frames; a large one is not copied, however large it is."""

    def __init__(self) -> None:
        self._decoder: Final = FrameDecoder(MAX_FRAME_BYTES)
        self._large = bytearray()  # what is there of a large frame
        self._missing = 0  # octets of it

    def feed(self, chunk: bytes) -> Iterator[MailFrame | Counts | QuestionFrame]:
        """Yield what the next octets complete. Raises FrameError."""
        if self._missing:
            self._large += memoryview(chunk)[: self._missing]
            rest, self._missing = chunk[self._missing :], max(0, self._missing - len(chunk))
            if self._missing:
                return
            large, self._large = self._large, bytearray()
            yield _read_large(large)
            chunk = rest
        for frame in self._decoder.feed(chunk):
            yield read_frame(frame.options, frame.payload)
        if self._decoder.missing > LARGE:
            self._missing = self._decoder.missing
            self._large = self._decoder.take_unfinished()


def _read_large(frame: bytearray) -> MailFrame | Counts | QuestionFrame:
    words = frame[0] & 0x0F
    options = struct.unpack_from(f"<{words - _HEADER_WORDS}I", frame, 4 * _HEADER_WORDS)
    return read_frame(options, memoryview(frame)[4 * words :])


_HEAD_DECODER: Final = msgspec.json.Decoder(Head)
_COUNTS_DECODER: Final = msgspec.json.Decoder(Counts)
_VERDICTS_DECODER: Final = msgspec.json.Decoder(list[tuple[int, str]])
_ORDERS_DECODER: Final = msgspec.json.Decoder(Orders)
_ASKING_DECODER: Final = msgspec.json.Decoder(Asking)
_DECIDED_DECODER: Final = msgspec.json.Decoder(Decided | None)
_NAME_DECODER: Final = msgspec.json.Decoder(str)
_ENCODER: Final = msgspec.json.Encoder()


def mail_frame(number: int, head: Head, payload: Sequence[Stretch], raw: Segment) -> list[Stretch]:
    """Return the stretches of a mail's frame, to be written one after the other."""
    shown = _ENCODER.encode(head)
    context = len(shown) + octets_of(payload)
    header = frame_header(CODEC_JSON, (context, len(shown), number), context + len(raw))
    return [header + shown, *payload, raw] if raw else [header + shown, *payload]


def counts_frame(counts: Counts) -> bytes:
    """Return the frame of counts."""
    return encode_frame(CODEC_JSON, _ENCODER.encode(counts))


def verdicts_frame(verdicts: list[tuple[int, str]]) -> bytes:
    """Return the frame that says what became of mails."""
    return encode_frame(CODEC_JSON, _ENCODER.encode(verdicts))


def orders_frame(number: int, orders: Orders) -> bytes:
    """Return the frame that says what is wanted; answers name its number."""
    return encode_frame(CODEC_JSON, _ENCODER.encode(orders), (number,))


def question_frame(number: int, asking: Asking) -> bytes:
    """Return the frame of a question to plans."""
    return encode_frame(CODEC_JSON, _ENCODER.encode(asking), (number,))


def decision_frame(number: int, decided: Decided | None) -> bytes:
    """Return the frame that answers a question."""
    return encode_frame(CODEC_JSON, _ENCODER.encode(decided), (number, 0))


def census_frame(number: int, namespace: str) -> bytes:
    """Return the frame that asks how many connections a namespace has."""
    return encode_frame(CODEC_JSON, _ENCODER.encode(namespace), (number, 0, 0))


def read_frame(options: Sequence[int], payload: Octets) -> MailFrame | Counts | QuestionFrame:
    """Return what an SMTP process said. Raises FrameError."""
    try:
        if not options:
            return _COUNTS_DECODER.decode(payload)
        if len(options) == 1:
            return QuestionFrame(options[0], _ASKING_DECODER.decode(payload))
        context, head, number = options
        if head > context or context > len(payload):
            raise FrameError("lengths that cannot be")
        return MailFrame(number, _HEAD_DECODER.decode(payload[:head]), payload[head:context], payload[context:])
    except (msgspec.MsgspecError, ValueError) as error:
        raise FrameError(f"no frame of an SMTP process: {error}") from None


def read_orders(frame: Frame) -> Orders:
    """Return what the inbox wants. Raises FrameError."""
    return _read(_ORDERS_DECODER, frame, "orders")


def read_verdicts(frame: Frame) -> list[tuple[int, str]]:
    """Return what the inbox said of mails. Raises FrameError."""
    return _read(_VERDICTS_DECODER, frame, "verdicts")


def read_decision(frame: Frame) -> Decided | None:
    """Return what a plan said to a question. Raises FrameError."""
    decided: Decided | None = _read(_DECIDED_DECODER, frame, "decision")
    return decided


def read_census(frame: Frame) -> str:
    """Return the namespace whose connections the inbox wants to know. Raises FrameError."""
    return _read(_NAME_DECODER, frame, "census")


def _read(decoder: msgspec.json.Decoder[T], frame: Frame, what: str) -> T:
    try:
        return decoder.decode(frame.payload)
    except msgspec.MsgspecError as error:
        raise FrameError(f"no {what}: {error}") from None
