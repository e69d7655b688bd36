"""The inbox of one test: a namespace of its own, with what tests ask of it. Waits are the server's, nothing polls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fastsmtp.client.inbox import APIAnswer, InboxClient, InboxError, namespace_path
from fastsmtp.client.testing.mails import ReceivedMail

if TYPE_CHECKING:
    from fastsmtp.client.testing.asyncmailbox import AsyncInbox

_WAIT_S: Final = 600.0  # what a call may wait at most
_PAGE: Final = 1000  # mails of one answer
_SHOWN: Final = 20
GOLDEN: Final = "FASTSMTP_GOLDEN"


class NotAsExpected(AssertionError):
    """Mails are not as a test expects; the text is the server's report."""

    def __init__(self, report: str, page: str) -> None:
        super().__init__(f"{report.rstrip()}\n{page}")
        self.report: Final = report
        self.page: Final = page


class Endpoint(NamedTuple):
    """Where an application sends its mails. Without a port of the test's own it has to log in as `username`."""

    host: str
    port: int
    username: str


class OwnInbox:
    """A namespace, from its making until `close`."""

    def __init__(self, url: str, name: str, settings: Mapping[str, Any], common: Endpoint | None = None) -> None:
        """Make the namespace `name` in the inbox at `url`; `settings` is the document of `PUT /api/ns/{ns}`.

        `common` is where the server is reached when its own answer does not tell it. Raises InboxError.
        """
        self._client = InboxClient(url)
        self._kept = False
        self._path = namespace_path(name)
        made = self._client.call("PUT", self._path, document=dict(settings)).document
        self.name: Final[str] = made["name"]
        self.address: Final[str] = made["address"]
        self.page: Final[str] = made["urls"]["page"]
        self.api: Final[str] = made["urls"]["api"]
        self.smtp: Final = common._replace(username=self.name) if common is not None else Endpoint(**made["smtp"])

    def keep(self) -> None:
        """Have `close` leave the namespace: it ends some time after its last mail or call."""
        self._kept = True

    def close(self) -> None:
        """Delete the namespace and all it holds. May be called twice."""
        if self._kept:
            return
        with contextlib.suppress(InboxError):
            self._client.call("DELETE", self._path)

    def __enter__(self) -> OwnInbox:  # noqa: PYI034  # Self is in typing from Python 3.11 on
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    # what is there

    @property
    def mails(self) -> list[ReceivedMail]:
        """Return every mail, the oldest first."""
        return list(self._mails({}))

    def _mails(self, query: Mapping[str, Any]) -> Iterator[ReceivedMail]:
        asked = {**query, "order": "asc", "limit": _PAGE}
        while True:
            answer = self._client.call("GET", f"{self._path}/mails", query=asked).document
            yield from map(self._mail, answer["mails"])
            if answer["next"] is None:
                return
            asked["after"] = answer["next"]

    def _mail(self, summary: dict[str, Any]) -> ReceivedMail:
        return ReceivedMail(self._client, f"{self._path}/mails", summary)

    @property
    def cursor(self) -> str:
        """Return the place behind the newest mail: what came before it does not count with `after=`."""
        return str(self._client.call("GET", f"{self._path}/cursor").document["cursor"])

    @property
    def ledger(self) -> dict[str, Any]:
        """Return what became of every mail that was begun."""
        return dict(self._client.call("GET", f"{self._path}/ledger").document)

    def clear(self) -> None:
        """Delete the mails."""
        self._client.call("DELETE", f"{self._path}/mails", query={"all": "true"})

    # what must come

    def wait(self, count: int = 1, *, within: str = "10s", after: str = "", **where: Any) -> list[ReceivedMail]:
        """Return the mails that meet the condition, once there are `count`. Raises NotAsExpected."""
        __tracebackhide__ = True
        document = {"count": count, "timeout": within, "where": condition(where), "limit": _PAGE}
        return [self._mail(summary) for summary in self._await("wait", document, after)["mails"]]

    def wait_one(self, *, within: str = "10s", after: str = "", **where: Any) -> ReceivedMail:
        """Return the one mail that meets the condition, once it is there. Raises NotAsExpected where there are more."""
        __tracebackhide__ = True
        document = {"exactly": 1, "timeout": within, "where": condition(where)}
        return self._mail(self._await("wait", document, after)["mails"][0])

    def expect(
        self, *items: Mapping[str, Any], within: str = "5s", rest: str = "allow", after: str = ""
    ) -> dict[str, Any]:
        """Return the report once all items hold; they are those of `POST …/expect`. Raises NotAsExpected."""
        __tracebackhide__ = True
        document = {"within": within, "rest": rest, "expect": [dict(item) for item in items]}
        return self._await("expect", document, after)

    def exactly(self, wanted: int | Mapping[str, int], *, within: str = "5s", **where: Any) -> list[ReceivedMail]:
        """Return the mails once they are these and no others: so many, or so many for each recipient.

        With a condition only mails that meet it are looked at. Raises NotAsExpected.
        """
        __tracebackhide__ = True
        met = condition(where)
        if isinstance(wanted, int):
            self.expect({"where": met, "exactly": wanted}, within=within)
        else:
            items = [{"where": {**met, "rcpt": to}, "exactly": count} for to, count in wanted.items()]
            others = {"name": "to others", "where": {**met, "not": {"rcpt": list(wanted)}}, "none": True}
            self.expect(*items, others, within=within)
        some = wanted if isinstance(wanted, int) else any(wanted.values())
        return self.wait(1, **where) if some else []

    def none(self, *, within: str = "1s", **where: Any) -> None:
        """Watch for so long that no such mail comes, none at all without a condition. Raises NotAsExpected."""
        __tracebackhide__ = True
        self.expect({"where": condition(where), "none": True, "for": within}, within=within)

    def expect_like(self, golden: str | Path, *, within: str = "10s", **where: Any) -> ReceivedMail:
        """Return the one mail that meets the condition, once it is there and as the file `golden` has it.

        What differs each time is not compared: dates, ids, boundaries, signatures. With FASTSMTP_GOLDEN=write the
        file is written. Raises NotAsExpected.
        """
        __tracebackhide__ = True
        mail = self.wait_one(within=within, **where)
        path = Path(golden)
        if os.environ.get(GOLDEN) == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mail.raw)
        elif not path.exists():
            raise NotAsExpected(f"there is no file {golden}; {GOLDEN}=write writes it", self.page)
        elif lines := mail.difference(path.read_bytes()):
            text = "\n".join([f"the mail is not like {golden} (- expected, + got):", *lines])
            raise NotAsExpected(text, self.page)
        return mail

    def _await(self, what: str, document: dict[str, Any], after: str) -> dict[str, Any]:
        __tracebackhide__ = True
        if after:
            document["after"] = after
        answer: APIAnswer = self._client.call("POST", f"{self._path}/{what}", document=document, wait_s=_WAIT_S)
        if answer.status != 200:
            raise NotAsExpected(answer.document["detail"], self.page)
        return dict(answer.document)

    # what the server does on purpose

    def faults(self, plan: Any) -> None:
        """Have the server do what the plan says, in this namespace. Raises InboxError for a plan that cannot be."""
        self._client.call("PUT", f"{self._path}/faults", document=plan)

    @property
    def aio(self) -> AsyncInbox:
        """Return the same for coroutines."""
        from fastsmtp.client.testing.asyncmailbox import AsyncInbox

        return AsyncInbox(self)

    def summary(self) -> str:
        """Return what is in it, for the report of a test that failed."""
        shown = self._client.call(
            "GET", f"{self._path}/mails", query={"order": "asc", "limit": _SHOWN, "outcome": "any"}
        )
        lines = [_line(mail) for mail in shown.document["mails"]]
        if shown.document["next"] is not None:
            lines.append(f"… {shown.document['total']} in all")
        sessions = self.ledger["sessions"]
        lines.append("server: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in sessions.items()))
        return "\n".join([*lines, self.page])


def _line(mail: Mapping[str, Any]) -> str:
    mark = "" if mail["outcome"] == "accepted" else f" ({mail['outcome']})"
    subject = "(no subject)" if mail["subject"] is None else repr(mail["subject"])
    to = ", ".join(mail["envelope"]["to"][:3])
    return f"#{mail['seq']} {mail['received_at'][11:23]} {mail['envelope']['from'] or '<>'} -> {to}: {subject}{mark}"


def condition(where: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition that keyword arguments make.

    `from_` and `not_` stand for what Python keeps for itself, `header_x_id` for `header.x-id`, and `where={…}` adds
    keys as they are.
    """
    made: dict[str, Any] = {}
    for key, value in where.items():
        if key == "where":
            made |= value
        elif key.startswith("header_"):
            made["header." + key.removeprefix("header_").replace("_", "-")] = value
        else:
            made[key.removesuffix("_")] = value
    return made
