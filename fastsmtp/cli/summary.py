"""What a configuration means, in words: the banner of `serve` and the answer of `check`."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import shutil
from collections.abc import Iterator

from fastsmtp import __version__
from fastsmtp.config.cluster import ClusterSettings, without_login
from fastsmtp.config.logs import CHANNELS, SILENT, FileLoggerSettings, LogsSettings
from fastsmtp.config.settings import Config, DynamicAllocatorSettings, ListenerSettings, TLSSettings
from fastsmtp.errors import StartError
from fastsmtp.processes.shares import process_count, split
from fastsmtp.system.addresses import TCPAddress, parse_address
from fastsmtp.text import counted, size, span

_EXPOSED = "can be reached from other machines"
_OPEN = "every mail and every login is accepted, keep it off the internet"
_RELAYS = {"unix": "a private Unix socket", "pipes": "pipes"}
_INTERPRETERS = ("php", "python")
_AUTOLOAD = re.compile(r"""__DIR__ *\. *['"](/(?:\.\./)*vendor/autoload\.php)['"]""")


def banner(
    config: Config, path: str, addresses: dict[str, list[str]], inbox: str = "", program: str = "fastsmtp"
) -> str:
    """What `serve` says first: where it listens, what takes the mails, and a warning if others can reach it.

    `path` is that of the configuration, `inbox` the URL of the inbox, "" without one; `program` is how this command was
    called.
    """
    storage = config.smtp.attachment_storage
    embedded = not _command(config)
    listening = [address for listener in addresses.values() for address in listener]
    processes = process_count(config.smtp)
    rows = [
        *([("listening", ", ".join(listening))] if listening else []),
        *([("cluster", _cluster(config.cluster))] if config.cluster is not None else []),
        *([("inbox", inbox)] if inbox else []),
        *([("processes", _divided(config, processes))] if processes > 1 else []),
        *([("workers", _workers(config))] if config.is_relay else []),
        *([("first mail", f"{program} send {_reachable(config, addresses)}")] if embedded and listening else []),
        ("attachments", f"files in {storage.temp_dir}" if storage.mode == "tempfile" else "in memory"),
        ("config", os.path.abspath(path) if path else "defaults, there is no .rr.yaml here"),
    ]
    lines = [f"fastsmtp {__version__}", *(f"  {name:<11}  {value}" for name, value in rows)]
    exposed = exposure(listening), inbox_exposure(config, inbox.partition("//")[2])
    lines += [f"  WARNING      {warning}" for warning in exposed if warning]
    return "\n".join(lines)


def _reachable(config: Config, addresses: dict[str, list[str]]) -> str:
    """What `send` is to be told to reach the first listener from this machine."""
    name, [address, *_] = next(iter(addresses.items()))
    parsed = parse_address(address)
    if isinstance(parsed, TCPAddress):
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parsed.host, parsed.host)
        address = f"[{host}]:{parsed.port}" if ":" in host else f"{host}:{parsed.port}"
    tls = config.smtp.listeners()[name].tls
    address = shlex.quote(address)  # brackets are a pattern for shells
    return f"--tls --insecure {address}" if tls is not None and tls.cert and tls.mode == "implicit" else address


def exposure(addresses: list[str]) -> str:
    """Which of the addresses of listeners others can reach, and what that means; "" where they are all local."""
    reachable = [address for address in addresses if not is_local(address)]
    return f"{', '.join(reachable)} {_EXPOSED}: {_OPEN}" if reachable else ""


def inbox_exposure(config: Config, address: str) -> str:
    """What others can do with the inbox at this address, "" where they cannot reach it, or are asked for a password."""
    settings = config.kept()
    if not address or settings is None or settings.auth.username or settings.auth.token or is_local(address):
        return ""
    return f"inbox.address: {address} {_EXPOSED}, which may read and delete every mail; inbox.auth asks for a password"


def is_local(address: str) -> bool:
    """Whether only this machine can connect there."""
    parsed = parse_address(address)
    if not isinstance(parsed, TCPAddress):
        return True
    try:
        return ipaddress.ip_address(parsed.host).is_loopback
    except ValueError:
        return parsed.host == "localhost"


def explain(config: Config) -> list[tuple[str, str]]:
    """What `serve` would do with it: rows of a word or two, and what there is to say about it."""
    return [
        *_about_cluster(config),
        *(_about_smtp(config) if config.is_front else []),
        *_about_processes(config),
        *(_about_workers(config) if config.is_relay else []),
        *_about_mails(config),
        *_about_surroundings(config),
    ]


def warnings(config: Config) -> list[str]:
    """What is allowed and hardly meant so."""
    smtp = config.smtp
    found = [warning for listener in smtp.listeners().values() if (warning := exposure([listener.addr]))]
    if config.rpc.listen and not is_local(config.rpc.listen):
        found.append(f"rpc.listen: {config.rpc.listen} {_EXPOSED}, and RPC asks for no password")
    kept = config.kept()
    if kept is not None and (warning := inbox_exposure(config, kept.address)):
        found.append(warning)
    found += [
        f"{key}: {address} {_EXPOSED}"
        for key, address in (("metrics.address", config.metrics.address), ("status.address", config.status.address))
        if address and not is_local(address)
    ]
    if not smtp.max_message_size and (smtp.attachment_storage.mode == "memory" or smtp.include_raw):
        found.append("smtp.max_message_size: 0 means no limit, and whole mails are held in memory")
    if not smtp.pool.supervisor.exec_ttl_s:
        found.append("smtp.pool.supervisor.exec_ttl: 0s means that a worker that hangs holds its client for ever")
    return found + misunderstandings(config)


def misunderstandings(config: Config) -> list[str]:
    """What was surely meant otherwise: `serve` says it, too."""
    smtp = config.smtp
    found = []
    if smtp.jobs is not None and smtp.payload != "jobs":
        found.append('smtp.jobs has no effect: workers get mails, not jobs, unless smtp.payload is "jobs"')
    if smtp.payload_omit and config.is_relay and not _command(config):
        found.append("smtp.payload_omit has no effect: without server.command mails are shown, and nothing is left out")
    return found


def obstacles(config: Config) -> list[str]:
    """What would keep `serve` from starting on this machine, as far as can be told without trying."""
    found = []
    key = "smtp.pool.command" if config.smtp.pool.command else "server.command"
    words = _words(_command(config))
    if words:
        environment = config.server.env if isinstance(config.server.env, dict) else {}
        if shutil.which(words[0], path=environment.get("PATH")) is None:
            found.append(f"{key}: there is no program {words[0]} here")
        script = words[1] if len(words) > 1 and os.path.basename(words[0]).startswith(_INTERPRETERS) else ""
        if script.endswith((".php", ".py")):
            found += _script_obstacles(f"{key}: {shlex.join(words)}", script)
    return [*found, *_tls_obstacles(config), *_plan_obstacles(config)]


def _plan_obstacles(config: Config) -> Iterator[str]:
    from fastsmtp.inbox.planfile import load_plan

    try:
        load_plan(config.smtp)
    except StartError as error:
        yield str(error)


def _script_obstacles(what: str, script: str) -> Iterator[str]:
    """A worker that is not there, or that needs packages which Composer has not installed."""
    try:
        with open(script, errors="replace") as source:
            loader = _AUTOLOAD.search(source.read())
    except FileNotFoundError:
        yield f"{what} is to take the mails, and there is no file {script} in {os.getcwd()}"
        return
    except OSError as error:
        yield f"{what} is to take the mails, and {script} cannot be read: {error.strerror}"
        return
    if loader is not None and not os.path.exists(os.path.dirname(os.path.abspath(script)) + loader[1]):
        yield f"{what} requires {loader[1].lstrip('/')}, which is not there yet: run `composer install`"


def _tls_obstacles(config: Config) -> Iterator[str]:
    listeners = config.smtp.listeners()
    if any(listener.tls is not None and listener.tls.cert for listener in listeners.values()):
        from fastsmtp.server.tls import make_contexts  # brings OpenSSL along

        faults = {}
        for name, listener in listeners.items():
            try:
                make_contexts({name: listener})
            except StartError as error:
                faults[str(error)] = name
        yield from faults  # each of them once


# --- the rows


def _about_cluster(config: Config) -> Iterator[tuple[str, str]]:
    cluster = config.cluster
    if cluster is None:
        return
    yield "cluster", _cluster(cluster)
    stream, retention = cluster.stream, cluster.retention
    age = f" for {span(retention.max_age_s)}" if retention.max_age_s else ""
    space = f", up to {size(retention.max_bytes)}" if retention.max_bytes else ""
    made = "made where they are missing" if stream.manage else "which have to be there"
    yield (
        "streams",
        f"{stream.partitions} of {counted(stream.replicas, 'replica')}, {made}; mails are kept{age}{space}",
    )
    if cluster.is_front:
        flight = cluster.in_flight
        yield (
            "confirm",
            f"250 when a quorum has a mail, 451 4.3.0 after {span(cluster.ack_timeout_s)} without; "
            f"up to {counted(flight.mails, 'mail')} and {size(flight.bytes)} at a time",
        )
    for output in cluster.outputs:
        yield (
            "output",
            f"each mail is a job {output.job} of RoadRunner's pipeline {output.pipeline}, too, "
            f"by exchange {output.exchange} of {without_login(output.addr)}",
        )
    if not cluster.monitor:
        yield "power cut", "whether the servers sync each write is not checked: cluster.monitor is empty"


def _cluster(cluster: ClusterSettings) -> str:
    servers = ", ".join(without_login(url) for url in cluster.servers)
    return f"{' and '.join(cluster.role)}, with {servers}"


def _about_smtp(config: Config) -> Iterator[tuple[str, str]]:
    smtp = config.smtp
    for name, listener in smtp.listeners().items():
        label = "listen" if name == "default" else f"listen ({name})"
        yield label, f'{listener.addr}, greets as "{listener.hostname}", {_tls(listener)}'
    mail = f"mails up to {size(smtp.max_message_size)}" if smtp.max_message_size else "mails of any size"
    yield "accept", f"every sender and every login; {mail}, to up to {counted(smtp.max_recipients, 'recipient')}"
    if "CRAM-MD5" in smtp.auth_mechanisms:
        yield "login", "CRAM-MD5 is offered: most clients take it, and send a digest instead of their password"
    if smtp.strict:
        yield "strict", "what RFC 5321 says to refuse is refused, instead of recorded"
    yield (
        "connections",
        f"up to {smtp.max_connections}"
        if smtp.max_connections
        else "as many as the limit of open files leaves room for",
    )
    limits = {"silent": smtp.read_timeout_s, "not reading": smtp.write_timeout_s}
    reasons = [f"{reason} for {span(seconds)}" for reason, seconds in limits.items() if seconds]
    yield "disconnect", f"a client {', or '.join(reasons)}" if reasons else "no client"


def _about_processes(config: Config) -> Iterator[tuple[str, str]]:
    smtp = config.smtp
    processes = process_count(smtp)
    if processes > 1:
        auto = " (auto, on this machine)" if smtp.processes == "auto" else ""
        yield "processes", f"{_divided(config, processes)}{auto}; one that ends is started again"


def _divided(config: Config, processes: int) -> str:
    """How many, and with how many workers each."""
    if not _command(config):
        return f"{processes}, with a worker each"
    shares = sorted(set(split(config.smtp.pool.num_workers, processes)))
    return f"{processes}, with {' or '.join(map(str, shares))} {'worker' if shares == [1] else 'workers'} each"


def _about_workers(config: Config) -> Iterator[tuple[str, str]]:
    pool, limits = config.smtp.pool, config.smtp.pool.supervisor
    if not _command(config):
        yield "workers", "none: server.command is not set, every mail is shown in the terminal"
        return
    relay = _RELAYS.get(config.server.relay, config.server.relay)
    yield "workers", f"{_workers(config)}, over {relay}"
    yield from _about_growth(pool.dynamic_allocator)
    queue = f", {counted(pool.max_queue_size, 'mail')} at a time" if pool.max_queue_size else ""
    alone = config.cluster is None
    then = "then the client gets 451 4.3.2" if alone else "then once more"
    yield "wait", f"up to {span(pool.allocate_timeout_s)} for a free worker{queue}; {then}"
    if limits.exec_ttl_s:
        then = "the client gets 451 4.3.0" if alone else "the mail is delivered again, five times at most"
        yield "answer", f"within {span(limits.exec_ttl_s)}; else the worker is killed and {then}"
    else:
        yield "answer", "may take any time"
    reasons = [
        (pool.debug, "after every mail (debug)"),
        (pool.max_jobs, f"after {counted(pool.max_jobs, 'mail')}"),
        (limits.ttl_s, f"{span(limits.ttl_s)} old"),
        (limits.idle_ttl_s, f"idle for {span(limits.idle_ttl_s)}"),
        (limits.max_worker_memory, f"above {limits.max_worker_memory} MB of memory"),
    ]
    yield "replace", ", ".join(text for holds, text in reasons if holds) or "workers only when one fails"


def _about_growth(allocator: DynamicAllocatorSettings | None) -> Iterator[tuple[str, str]]:
    if allocator is not None:
        yield (
            "grow",
            f"by {allocator.step} while mails wait, up to {counted(allocator.most_workers, 'worker')} more, "
            f"which leave when none has waited for {span(allocator.idle_timeout_s)}",
        )


def _about_mails(config: Config) -> Iterator[tuple[str, str]]:
    smtp, storage = config.smtp, config.smtp.attachment_storage
    if storage.mode == "tempfile":
        age = f"deleted after {span(storage.cleanup_after_s)}" if storage.cleanup_after_s else "never deleted"
        yield "attachments", f"files in {storage.temp_dir}, {age}"
    else:
        yield "attachments", "in the JSON, as base64"
    added = [
        text
        for holds, text in (
            (smtp.include_raw or smtp.payload == "jobs", "the raw message"),
            (smtp.include_transcript, "the SMTP transcript"),
            (storage.checksum, "a SHA-256 of each attachment"),
        )
        if holds
    ]
    shape = f"a job of the pipeline {smtp.pipeline}" if smtp.payload == "jobs" else "one JSON object"
    omitted = f" without {', '.join(smtp.payload_omit)}" if smtp.payload_omit else ""
    yield "payload", shape + (f" with {' and '.join(added)}" if added else "") + omitted
    yield "memory", f"up to {size(smtp.max_inflight_bytes)} of mails on their way; above it, clients take turns"


def _about_surroundings(config: Config) -> Iterator[tuple[str, str]]:
    yield from _about_logs(config.logs)
    yield "inbox", _inbox(config)
    yield "rpc", config.rpc.listen or "off: `workers`, `connections`, `close` and `reset` need rpc.listen"
    yield "metrics", f"http://{config.metrics.address}/metrics" if config.metrics.address else "off"
    yield "status", f"http://{config.status.address}/health and /ready" if config.status.address else "off"
    yield "stop", f"running mails may take {span(config.endure.grace_period_s)} to finish"


def _inbox(config: Config) -> str:
    settings = config.kept()
    if settings is None:
        return "off"
    place = settings.path or ("memory" if settings.durability == "memory" else "a temporary directory")
    return f"http://{settings.address}, mails are kept in {place}"


def _about_logs(logs: LogsSettings) -> Iterator[tuple[str, str]]:
    yield "log", _logged(logs)
    for name in logs.channels:
        if name in CHANNELS:
            yield f"log ({name})", _logged(logs.channel(name))


def _logged(logs: LogsSettings) -> str:
    if logs.mode in SILENT:
        return "nothing"
    file = logs.file_logger_options
    if file is not None:
        full = f"a new file every {file.max_size or FileLoggerSettings().max_size} MB"
        return f"{logs.level} and above, as JSON to {file.path}, {full}"
    outputs = logs.output if isinstance(logs.output, str) else ", ".join(logs.output)
    return f"{logs.level} and above, to {outputs}"


def _tls(listener: ListenerSettings) -> str:
    tls = listener.tls or TLSSettings()
    if not tls.cert:
        return "without TLS"
    certificate = "a self-signed certificate" if tls.cert == "auto" else f"the certificate {tls.cert}"
    return f"{'TLS' if tls.mode == 'implicit' else 'STARTTLS'} with {certificate}"


def _command(config: Config) -> str | list[str]:
    return config.smtp.pool.command or config.server.command


def _words(command: str | list[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else command


def _workers(config: Config) -> str:
    command = _command(config)
    if not command:
        return "embedded default: mails are shown here"
    shown = command if isinstance(command, str) else shlex.join(command)
    return f"{config.smtp.pool.num_workers} x {shown}"
