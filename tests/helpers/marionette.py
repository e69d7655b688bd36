"""Thunderbird under Xvfb, driven by Marionette, Mozilla's protocol of remote control: JSON behind its length."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from waits import wait_until

SCRIPT_MS = 60_000
PREFERENCES: dict[str, object] = {
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.compose.attachment_reminder": False,
    "mail.default_send_format": 3,  # text and HTML
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mail.SpellCheckBeforeSend": False,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
}


class Marionette:
    """One session."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), SCRIPT_MS / 1000)
        self._stream = self._socket.makefile("rb")
        self._calls = 0
        self._read()  # the greeting
        self._call("WebDriver:NewSession", {"acceptInsecureCerts": True})  # the server's certificate is its own
        self._call("Marionette:SetContext", {"value": "chrome"})
        self._call("WebDriver:SetTimeouts", {"script": SCRIPT_MS})

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript with all rights of the program; what it gives to the callback behind its arguments."""
        parameters = {"script": script, "args": list(arguments)}
        return self._call("WebDriver:ExecuteAsyncScript", parameters)["value"]

    def close(self) -> None:
        """End the connection, not the program."""
        self._stream.close()
        self._socket.close()

    def _call(self, name: str, parameters: dict[str, object]) -> Any:
        self._calls += 1
        message = json.dumps([0, self._calls, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, result = self._read()
        assert (number, error) == (self._calls, None)
        return result

    def _read(self) -> Any:
        size = b""
        while not size.endswith(b":"):
            octet = self._stream.read(1)
            assert octet, "the program has ended"
            size += octet
        return json.loads(self._stream.read(int(size[:-1])))


@contextlib.contextmanager
def thunderbird(directory: Path) -> Iterator[Marionette]:
    """Thunderbird with a new profile in `directory`."""
    profile = directory / "profile"
    profile.mkdir()
    preferences = {**PREFERENCES, "marionette.port": 0}
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
    (profile / "user.js").write_text("".join(lines))
    with _display(directory) as display:
        environment = {**os.environ, "DISPLAY": display, "HOME": str(directory)}
        command = [
            "thunderbird",
            "--marionette",
            "--remote-allow-system-access",
            "--no-remote",
            "--profile",
            str(profile),
        ]
        with _running(command, directory / "thunderbird.out", environment) as process:
            chosen = profile / "MarionetteActivePort"
            wait_until(lambda: process.poll() is not None or (chosen.exists() and chosen.read_text() != ""))
            assert process.poll() is None, (directory / "thunderbird.out").read_text()
            marionette = Marionette(int(chosen.read_text()))
            try:
                yield marionette
            finally:
                marionette.close()


@contextlib.contextmanager
def _display(directory: Path) -> Iterator[str]:
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"]
    with _running(command, directory / "xvfb.out", {**os.environ}, write):
        os.close(write)
        with os.fdopen(read) as numbers:
            number = numbers.readline().strip()
        assert number, (directory / "xvfb.out").read_text()
        yield f":{number}"


@contextlib.contextmanager
def _running(
    command: list[str], output: Path, environment: dict[str, str], *descriptors: int
) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=descriptors
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
