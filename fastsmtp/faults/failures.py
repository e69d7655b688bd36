"""What a plan let fail, and whether its client tried again: what a test wants to know whose mail never came."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import msgspec

from fastsmtp.faults.actions import Action
from fastsmtp.faults.question import Question

MAX_FAILURES: Final = 100  # of a namespace; one more forgets the oldest
_MAX_OF_CHARS: Final = 200
_MAX_SHOWN: Final = 3  # recipients
_BEFORE_MAIL: Final = frozenset({"connect", "banner", "ehlo", "starttls", "tls"})

Attempt = tuple[str, ...]  # what the same client says when it tries again


class FailedAttempt(msgspec.Struct, kw_only=True):
    """A command or a mail that had no success, because a plan wanted it so."""

    rule: str
    at: str
    of: str  # whose it was: a recipient, a sender, a user, an address
    action: str  # the code of the reply, or the action in a few words
    time: float  # Unix time
    seq: int  # the newest mail of the namespace then
    tried_again: bool | None = False  # None: there is no reason to, the client was told that all is well


class FailedAttempts:
    """Those of one namespace, the last one of each attempt."""

    __slots__ = ("_by_attempt",)

    def __init__(self) -> None:
        self._by_attempt: OrderedDict[Attempt, FailedAttempt] = OrderedDict()

    def note(self, question: Question) -> None:
        """A client comes to the same command again, whatever it is answered."""
        if self._by_attempt:
            failure = self._by_attempt.get(_attempt(question))
            if failure is not None and failure.tried_again is not None:
                failure.tried_again = True

    def add(self, question: Question, rule: str, action: Action, now: float, seq: int) -> None:
        """An action was decided on: keep it where it lets something fail."""
        if not (action.refuses or action.close or action.drop):
            return
        attempt = _attempt(question)
        self._by_attempt.pop(attempt, None)
        self._by_attempt[attempt] = FailedAttempt(
            rule=rule,
            at=question.at,
            of=_of(question)[:_MAX_OF_CHARS],
            action=action.reply[-1][:3] if action.reply else action.words,
            time=now,
            seq=seq,
            tried_again=None if action.drop else False,
        )
        if len(self._by_attempt) > MAX_FAILURES:
            self._by_attempt.popitem(last=False)

    def since(self, seq: int) -> list[FailedAttempt]:
        """Return what failed when the newest mail had this number, or later; the oldest first."""
        return [failure for failure in self._by_attempt.values() if failure.seq >= seq]


def _attempt(question: Question) -> Attempt:
    at = question.at
    if at in _BEFORE_MAIL:
        return at, question.ip
    if at == "auth":
        return at, question.username
    sender = question.sender.lower()
    if at == "rcpt":
        return at, sender, question.rcpt.lower()
    return at, sender, *(rcpt.lower() for rcpt in question.rcpts)


def _of(question: Question) -> str:
    """Whose command it is, in words."""
    shown = ", ".join(question.rcpts[:_MAX_SHOWN])
    if question.at in _BEFORE_MAIL:
        return question.ip
    return question.rcpt or shown or question.sender or question.username or question.ip
