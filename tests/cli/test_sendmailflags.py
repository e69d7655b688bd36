"""The flags that programs give to sendmail, and those of msmtp and Mailpit."""

from __future__ import annotations

import pytest

from fastsmtp.cli.sendmailflags import ALIASES, HELP, QUEUE, TALK, VERSION, SendmailFlags, parse

LINES: dict[str, tuple[str, SendmailFlags]] = {
    "nothing": ("", SendmailFlags()),
    "php.ini": ("-t -i", SendmailFlags(read_recipients=True, ignore_dots=True)),
    "php.ini with additional_params": (
        "-t -i -fbounce@b.c",
        SendmailFlags(read_recipients=True, ignore_dots=True, sender="bounce@b.c"),
    ),
    "PHPMailer": ("-oi -fa@b.c -t", SendmailFlags(read_recipients=True, ignore_dots=True, sender="a@b.c")),
    "Symfony": ("-bs", SendmailFlags(mode=TALK)),
    "Debian's cron": (
        "-FCronDaemon -i -B8BITMIME -oem root",
        SendmailFlags(name="CronDaemon", ignore_dots=True, recipients=["root"]),
    ),
    "cronie": (
        "-FCronDaemon -i -odi -oem -oi -t -f root",
        SendmailFlags(name="CronDaemon", ignore_dots=True, read_recipients=True, sender="root"),
    ),
    "git": ("-f a@b.c -i c@d.e f@g.h", SendmailFlags(sender="a@b.c", ignore_dots=True, recipients=["c@d.e", "f@g.h"])),
    "mailx": ("-i -r a@b.c -- -c@d.e", SendmailFlags(ignore_dots=True, sender="a@b.c", recipients=["-c@d.e"])),
    "options behind recipients": ("a@b.c -i", SendmailFlags(ignore_dots=True, recipients=["a@b.c"])),
    "together": ("-vit", SendmailFlags(verbose=True, ignore_dots=True, read_recipients=True)),
    "without effect": (
        "-A c -C /etc/x.cf -e m -G -h 3 -L tag -m -n -O DeliveryMode=b -p esmtp -s -T -U -x a@b.c",
        SendmailFlags(recipients=["a@b.c"]),
    ),
    "the traffic": ("-X/tmp/traffic a@b.c", SendmailFlags(log="/tmp/traffic", recipients=["a@b.c"])),
    "the log of msmtp": ("--logfile=~/.msmtp.log", SendmailFlags(log="~/.msmtp.log")),
    "no log": ("-X x --logfile=off", SendmailFlags()),
    "long option of sendmail": ("-OIgnoreDots=True", SendmailFlags(ignore_dots=True)),
    "the queue": ("-bp", SendmailFlags(mode=QUEUE)),
    "a run of the queue": ("-q30m", SendmailFlags(mode=QUEUE)),
    "no run of the queue": ("-- -q", SendmailFlags(recipients=["-q"])),
    "newaliases": ("-bi", SendmailFlags(mode=ALIASES)),
    "newaliases, too": ("-I", SendmailFlags(mode=ALIASES)),
    "DSN": (
        "-N success,DELAY -R hdrs -V id-1 a@b.c",
        SendmailFlags(notify="SUCCESS,DELAY", dsn_return="HDRS", envelope_id="id-1", recipients=["a@b.c"]),
    ),
    "no DSN": ("--dsn-notify=off --dsn-return=off", SendmailFlags()),
    "Mailpit": (
        "--smtp-addr mailpit:1025 --from=a@b.c -v -t -i -o x -B y -e z",
        SendmailFlags(address="mailpit:1025", sender="a@b.c", verbose=True, read_recipients=True, ignore_dots=True),
    ),
    "Mailpit, short": ("-S localhost:1025 -b -s", SendmailFlags(address="localhost:1025", mode=TALK)),
    "msmtp": (
        "--host=::1 --port=587 --tls --tls-starttls=off --tls-certcheck=off --tls-trust-file=ca.pem --auth=login "
        "--user=me --domain=client.test --timeout=5 --read-envelope-from --read-recipients",
        SendmailFlags(
            host="::1", port="587", tls=True, starttls=False, insecure=True, ca_file="ca.pem", mechanism="LOGIN",
            user="me", helo="client.test", timeout_s=5.0, sender_from_header=True, read_recipients=True,
        ),
    ),
    "msmtp's header": (
        "--set-from-header=off --set-date-header=auto --set-msgid-header=off --remove-bcc-headers=off --maildomain=b.c",
        SendmailFlags(add_from=False, add_message_id=False, keep_bcc=True, domain="b.c"),
    ),
    "msmtp, off": ("--auth=off --tls=off --timeout=off", SendmailFlags(timeout_s=86400)),
    "msmtp without effect": (
        "-a default --account=default --file=~/.msmtprc --syslog --auto-from=on --protocol=smtp --debug",
        SendmailFlags(verbose=True),
    ),
    "help": ("--help", SendmailFlags(mode=HELP)),
    "help, too": ("-h", SendmailFlags(mode=HELP)),
    "version": ("--version", SendmailFlags(mode=VERSION)),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_flags(name: str) -> None:
    line, flags = LINES[name]
    assert parse(line.split()) == flags


def test_values_may_have_blanks_and_may_be_empty() -> None:
    assert parse(["-F", "Cron Daemon", "-f", "", "a b"]) == SendmailFlags(
        name="Cron Daemon", sender="", recipients=["a b"]
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("-Z", "option -Z not recognized; see `fastsmtp sendmail --help`"),
        ("-tZ", "option -Z not recognized; see `fastsmtp sendmail --help`"),
        ("--no-such", "option --no-such not recognized; see `fastsmtp sendmail --help`"),
        ("-f", "option -f requires argument; see `fastsmtp sendmail --help`"),
        ("--auth=foo", "--auth is on, off, or one of PLAIN, LOGIN, CRAM-MD5, XOAUTH2, OAUTHBEARER, not 'foo'"),
        ("-bd", "there is no -bd here, but -bm, -bs, -bp and -bi; `fastsmtp serve` listens"),
        ("-N sometimes", "-N is never, or success, failure and delay with commas between, not 'sometimes'"),
        ("-R some", "-R is full or hdrs, not 'some'"),
        ("-V ä", "-V is an identifier without blanks, not 'ä'"),
        ("--tls=perhaps", "--tls is on or off, not 'perhaps'"),
        ("--tls-certcheck=2", "--tls-certcheck is on or off, not '2'"),
        ("--timeout=x", "--timeout is a number of seconds, or off, not 'x'"),
        ("--timeout=0", "--timeout is a number of seconds, or off, not '0'"),
    ],
)
def test_flags_that_are_wrong(line: str, complaint: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  (the whole text is compared)
        parse(line.split())
    assert str(raised.value) == complaint


@pytest.mark.parametrize(
    ("flags", "place"),
    [
        (SendmailFlags(), "fallback:1025"),
        (SendmailFlags(address="mailpit:1025"), "mailpit:1025"),
        (SendmailFlags(host="mx.test"), "mx.test:25"),
        (SendmailFlags(host="::1", port="1025"), "[::1]:1025"),
        (SendmailFlags(port="2525"), "127.0.0.1:2525"),
        (SendmailFlags(socket="/run/smtp.sock", host="ignored"), "unix:/run/smtp.sock"),
        (SendmailFlags(address="unix:/run/smtp.sock"), "unix:/run/smtp.sock"),
    ],
    ids=["default", "address", "host", "host and port", "port", "socket", "unix"],
)
def test_the_server(flags: SendmailFlags, place: str) -> None:
    assert flags.place("fallback:1025") == place


def test_a_server_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"^localhost: "):
        SendmailFlags(address="localhost").place("")
