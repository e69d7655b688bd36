"""The command, or the part of a mail, that a session has a fault plan asked about, and what becomes of it then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastsmtp.smtp import policy
from fastsmtp.smtp.events import AbortReason, Asked
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.planner import Fault
from fastsmtp.smtp.sessionstate import ASKED, COMMANDS, OVER, SessionState

_GOOD: Final = {policy.DATA: b"3", policy.BODY: b""}  # how a good reply begins where it is not with 2


class AskedCommand:
    """Of one session, one at a time. The command was found in order, and has no effect until the answer is there."""

    __slots__ = ("_gate", "_reading", "_resume", "_stage", "_state")

    def __init__(self, gate: Gate, state: SessionState) -> None:
        self._gate: Final = gate
        self._state: Final = state
        self._stage = ""  # that a plan is asked about
        self._reading = COMMANDS  # what was being read then
        self._resume: Callable[[], None] | None = None

    def ask(self, resume: Callable[[], None]) -> None:
        """Have the plan asked that the gate wants to ask; `resume` performs the command then."""
        facts, self._gate.asking, self._gate.closes = self._gate.asking, None, False
        assert facts is not None
        state = self._state
        self._stage = facts.stage
        self._reading = state.reading
        self._resume = resume
        state.reading = ASKED
        self._gate.out.events.append(Asked(facts))

    def answer(self, fault: Fault | None) -> None:
        """Perform the command, or refuse it, as a plan has answered."""
        state = self._state
        assert state.reading == ASKED, "no plan was asked"
        resume, self._resume = self._resume, None
        assert resume is not None
        state.reading = self._reading
        if fault is not None and fault.silent:
            self._break_off()
        else:
            self._perform(resume, fault)

    def _perform(self, resume: Callable[[], None], fault: Fault | None) -> None:
        gate = self._gate
        refuses = fault is not None and bool(fault.reply) and fault.reply[:1] != _GOOD.get(self._stage, b"2")
        gate.answered, gate.answer = True, fault if refuses else None
        resume()
        gate.answered, gate.answer = False, None
        if fault is not None and not refuses:
            if fault.edits:
                gate.out.edit(fault)
            gate.closes = gate.closes or fault.close
        if gate.closes and self._state.reading != OVER:
            self._break_off()

    def _break_off(self) -> None:
        self._state.abort(AbortReason.POLICY)
        self._state.close()
