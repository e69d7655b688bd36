"""Debian's Postfix as a client: a queue of its own, which sends everything to one server and retries soon."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from servers import Server
from waits import wait_until

_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = client.example.com
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
alias_maps =
relayhost = [{host}]:{port}
smtp_tls_security_level = none
smtp_host_lookup = native
smtp_dns_support_level = disabled
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
maillog_file = /dev/stdout
"""
_MASTER = """\
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
"""


@contextlib.contextmanager
def postfix(server: Server) -> Iterator[Path]:
    """Run one that relays to the server, in a directory that its user may enter: those of pytest are root's alone."""
    with tempfile.TemporaryDirectory(prefix="fastsmtp-postfix-") as directory:
        home = Path(directory)
        home.chmod(0o755)
        with _running(server, home):
            yield home


@contextlib.contextmanager
def _running(server: Server, home: Path) -> Iterator[None]:
    etc = home / "etc"
    for directory in (etc, home / "spool", home / "data"):
        directory.mkdir()
    (etc / "main.cf").write_text(_MAIN.format(home=home, host=server.host, port=server.port))
    (etc / "master.cf").write_text(_MASTER)
    subprocess.run(["chown", "postfix", home / "data"], check=True)
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(["/usr/sbin/postfix", "-c", etc, "start-fg"], stdout=output, stderr=output)
        try:
            wait_until(lambda: "daemon started" in log.read_text() or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            subprocess.run(["/usr/sbin/postfix", "-c", etc, "stop"], capture_output=True, check=False)
            process.wait(30)


def submit(home: Path, recipient: str, subject: str) -> None:
    """Give it a mail."""
    command = ["/usr/sbin/sendmail", "-C", str(home / "etc"), "-i", "-f", "a@example.com", recipient]
    subprocess.run(command, input=f"Subject: {subject}\n\nhello\n".encode(), check=True)
