"""Any octets, cut anywhere: no exception, the same answers, bounded state."""

from __future__ import annotations

import itertools
import sys

import reference
from hypothesis import given
from hypothesis import strategies as st
from planners import OnePlan
from support import Outcome, Player, settings

from fastsmtp.faults.conditions import STAGES
from fastsmtp.smtp.events import Verdict
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.smtp.violations import CLAUSES, MAX_DETAIL

LINES = [
    b"EHLO x",
    b"HELO x",
    b"ehlo ",
    b"MAIL FROM:<a@b>",
    b"MAIL FROM:<>",
    b"mail from: a@b SIZE=9",
    b"MAIL FROM:<a@b> BODY=BINARYMIME",
    b"MAIL FROM:<\xc3\xbc@b> SMTPUTF8",
    b"MAIL FROM:<\xfc@b>",
    b"RCPT TO:<a@b>",
    b"RCPT TO:<@a:b@c> NOTIFY=NEVER",
    b"RCPT TO:<>",
    b"DATA",
    b"BDAT 3",
    b"BDAT 0",
    b"BDAT 0 LAST",
    b"BDAT 5 LAST",
    b"BDAT 70",
    b"BDAT x",
    b"BDAT 2 X",
    b"RSET",
    b"NOOP",
    b"QUIT",
    b"STARTTLS",
    b"AUTH PLAIN AGEAYg==",
    b"AUTH PLAIN",
    b"AUTH LOGIN",
    b"AUTH CRAM-MD5",
    b"AUTH XOAUTH2 =",
    b"AGEAYg==",
    b"*",
    b"VRFY x",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2",
    b"PROXY x",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
    b"XCLIENT NAME=x ADDR=::1 LOGIN=[UNAVAILABLE]",
    b"XFORWARD ADDR=192.0.2.1 PORT=7",
    b"MAIL FROM:<Joe (x) <a@b>> SIZE=1",
    b"RCPT TO:Joe <a@b>",
    b"POST / HTTP/1.1",
    b"\x16\x03\x01",
    b"HELP",
    b"Subject: x",
    b"",
    b".",
    b"..",
    b".x",
    b"\0",
]
# With a body around the size limit of the sessions here.
TOKENS = st.one_of(
    st.sampled_from(LINES).map(lambda line: line + b"\r\n"),
    st.sampled_from(LINES),
    st.sampled_from([b"\r\n.\r\n", b"\r\n", b"\n", b"\r", b".", b" ", b"\0", b"x" * 30, b"x" * 70]),
    st.sampled_from(
        [b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n", b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 4\r\nabcd"]
    ),
    st.binary(max_size=8),
)
SETTINGS = st.builds(
    settings, strict=st.booleans(), tls=st.booleans(), trace=st.booleans(), size=st.sampled_from([0, 50])
)
VERDICTS = st.lists(st.sampled_from(Verdict), max_size=4)


def play(session: Session, pieces: list[bytes], verdicts: list[Verdict]) -> tuple[bytes, Outcome]:
    player = Player(session, verdicts)
    session.greet()
    for piece in pieces:
        player.send(piece)
    output = player.finish_step()
    player.end()
    return output + player.finish_step(), player.finish()


@given(st.lists(TOKENS, max_size=30).map(b"".join), st.lists(st.integers(0, 400), max_size=10), SETTINGS, VERDICTS)
def test_cuts_change_nothing(octets: bytes, cuts: list[int], chosen: SessionSettings, verdicts: list[Verdict]) -> None:
    points = [0, *sorted(cuts), len(octets)]
    pieces = [octets[start:end] for start, end in itertools.pairwise(points)]
    whole = play(Session(chosen), [octets], verdicts)
    assert play(Session(chosen), pieces, verdicts) == whole
    assert play(Session(chosen), [octets[i : i + 1] for i in range(len(octets))], verdicts) == whole
    assert play(Session(chosen, make_decoder=reference.DataDecoder), pieces, verdicts) == whole


@given(st.lists(st.lists(TOKENS, max_size=10).map(b"".join), max_size=6), SETTINGS, VERDICTS)
def test_state_is_bounded(reads: list[bytes], chosen: SessionSettings, verdicts: list[Verdict]) -> None:
    session = Session(chosen)
    play(session, reads, verdicts)
    assert set(session.violations) <= set(CLAUSES)
    assert all(len(item.detail) <= MAX_DETAIL for item in session.violations.values())
    assert (session.take_events(), session.take_output()) == ([], b"")
    assert session.closing
    assert sys.getsizeof(session) < 400


@given(st.binary(max_size=300), SETTINGS)
def test_any_octets(octets: bytes, chosen: SessionSettings) -> None:
    """Raw noise, as a command and as mail data."""
    begin = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
    for prefix in (b"", b"EHLO x\r\n" + begin):
        whole = play(Session(chosen), [prefix + octets], [])
        assert play(Session(chosen), [prefix, *(octets[i : i + 1] for i in range(len(octets)))], []) == whole


@given(
    st.lists(TOKENS, max_size=30).map(b"".join), st.sets(st.sampled_from(STAGES)), st.sets(st.integers(0, 20)), SETTINGS
)
def test_a_plan_that_never_acts_changes_nothing(
    octets: bytes, stages: set[str], marks: set[int], chosen: SessionSettings
) -> None:
    whole = play(Session(chosen), [octets], [])
    pieces = [octets], [octets[i : i + 1] for i in range(len(octets))]
    for piece in pieces:
        plan = OnePlan(*stages, marks=tuple(sorted(marks)))
        assert play(Session(chosen, planner=plan), piece, []) == whole
