"""A transport is paused for the first reason, and read on after the last."""

from __future__ import annotations

from transports import Transport

from fastsmtp.server.flowcontrol import COMMANDS, INFLIGHT, NOT_THE_CLIENTS, OUTPUT, TLS, VERDICT, FlowControl


def test_the_first_reason_pauses_and_the_last_one_resumes() -> None:
    flow, transport = FlowControl(), Transport()
    flow.pause(transport, VERDICT)
    flow.pause(transport, INFLIGHT)
    flow.pause(transport, INFLIGHT)
    assert (flow.reasons, transport.reading) == (VERDICT | INFLIGHT, False)
    flow.resume(transport, VERDICT)
    assert (flow.reasons, transport.reading) == (INFLIGHT, False)
    flow.resume(transport, VERDICT)
    flow.resume(transport, INFLIGHT)
    assert (flow.reasons, transport.reading) == (0, True)
    flow.resume(transport, INFLIGHT)
    assert transport.reading


def test_a_transport_that_closes_is_left_alone() -> None:
    flow, transport = FlowControl(), Transport()
    transport.close()
    flow.pause(transport, OUTPUT)
    flow.resume(transport, OUTPUT)
    assert (flow.reasons, transport.reading) == (0, True)


def test_without_a_transport_reasons_are_kept() -> None:
    flow = FlowControl()
    flow.pause(None, COMMANDS)
    flow.pause(None, OUTPUT)
    flow.resume(None, OUTPUT)
    assert flow.reasons == COMMANDS


def test_a_handshake_is_read_whatever_else_waits() -> None:
    flow, transport = FlowControl(), Transport()
    flow.pause(transport, INFLIGHT)
    flow.begin_handshake(transport)
    assert (flow.reasons, transport.reading) == (INFLIGHT | TLS, True)
    flow.end_handshake(transport)
    assert (flow.reasons, transport.reading) == (INFLIGHT, False)


def test_a_handshake_alone_pauses_nothing() -> None:
    flow, transport = FlowControl(), Transport()
    flow.begin_handshake(transport)
    flow.pause(transport, VERDICT)
    flow.resume(transport, VERDICT)
    flow.end_handshake(transport)
    assert (flow.reasons, transport.reading) == (0, True)


def test_no_silence_of_a_client_that_is_read_or_does_not_read() -> None:
    assert [reason for reason in (VERDICT, INFLIGHT, OUTPUT, TLS, COMMANDS) if not reason & NOT_THE_CLIENTS] == [
        OUTPUT,
        TLS,
    ]
