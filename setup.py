"""What is compiled; every other setting is in pyproject.toml.

Two compilers, for two kinds of code. What looks at octets is written in Cython. What is Python, typed, and on the way
of every mail is compiled by mypyc as it stands: the same files run uncompiled (FASTSMTP_MYPYC=0).
A mail of 1 KB then costs 87 us of user CPU instead of 58, in one run on a busy machine.
"""

import multiprocessing
import os
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Lock
from typing import Any

from Cython.Build import cythonize
from mypyc.build import mypycify
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# FASTSMTP_LINETRACE=1 builds Cython code with line tracing, for coverage and profilers.
linetrace = os.environ.get("FASTSMTP_LINETRACE") == "1"
compiled = os.environ.get("FASTSMTP_MYPYC") != "0"
# Where to tell how far it is: the number of a descriptor. ci/install shows that, and keeps the noise.
progress = os.environ.get("FASTSMTP_PROGRESS")

CORES = len(os.sched_getaffinity(0))
BUILD = Path(os.environ.get("FASTSMTP_BUILD", "build"))  # for generated C code; ci/install has one for each interpreter
TELL_EVERY_S = 4.0
FORK = multiprocessing.get_context("fork")
# pip and build ask for metadata and sources before they ask for a wheel, each time with a setup.py of its own.
wanted = not {"egg_info", "dist_info", "sdist"} & set(sys.argv[1:])
GROUP = "fastsmtp"  # of mypyc's modules
LIBRARY = f"{GROUP}__mypyc"
UNOPTIMIZED = "seldom"  # C files that begin so are compiled without optimization
# Debug information doubles what the compiler writes, and generated code is full of unused labels. What mypyc generates
# is calls of the interpreter for the most part: -O2 takes the C compiler 100 s of CPU for it instead of 59, and saves a
# mail of 1 KB 0.9 % of its instructions (166 647 instead of 168 197). Cython looks at octets: there -O3 counts.
# Without tables for C++ exceptions it is compiled in a tenth less time.
QUICK = ["-g0", "-w", "-fno-asynchronous-unwind-tables"]

CYTHON = (
    "fastsmtp.capture._json",
    "fastsmtp._parse",
    "fastsmtp.capture.identifier",
    "fastsmtp.delivery._context",
    "fastsmtp.goridge._queues",
    "fastsmtp.mime._base64",
    "fastsmtp.mime._fields",
    "fastsmtp.mime._pairs",
    "fastsmtp.mime._quoting",
    "fastsmtp.mime._quoted_printable",
    "fastsmtp.mime._shifts",
    "fastsmtp.mime._unicode",
)
# Modules of the list below that a usual mail does not come by, but for a call or two: compiled without optimization, in
# 42 % of the time.
SELDOM = {
    "fastsmtp",  # what the group has in common: it is made once
    "fastsmtp.delivery.deferred",
    "fastsmtp.delivery.large",
    "fastsmtp.mime.addresstokens",
    "fastsmtp.mime.defects",
    "fastsmtp.mime.extensions",
    "fastsmtp.mime.labels",
    "fastsmtp.mime.parametervalues",
    "fastsmtp.server.connectiondescription",
    "fastsmtp.server.connectionfaults",
    "fastsmtp.server.connectionlog",
    "fastsmtp.server.consultation",
    "fastsmtp.server.earlyoctets",
    "fastsmtp.server.listening",
    "fastsmtp.server.planquestion",
    "fastsmtp.server.resetting",
    "fastsmtp.server.shapedwriter",
    "fastsmtp.server.tlshandshake",
    "fastsmtp.server.tlstransport",
    "fastsmtp.smtp.authentication",
    "fastsmtp.smtp.chunkcommand",
    "fastsmtp.smtp.displayname",
    "fastsmtp.smtp.heldoctets",
    "fastsmtp.smtp.opening",
    "fastsmtp.smtp.openingcommands",
    "fastsmtp.smtp.otherprotocol",
    "fastsmtp.smtp.proxied",
    "fastsmtp.smtp.proxycommands",
    "fastsmtp.smtp.proxyheader",
    "fastsmtp.smtp.violations",
}
# The way of a mail, in the order in which it takes it. One group: calls between these modules are calls of C functions.
# None of them has a coroutine. When one that is compiled is cancelled, it calls throw() of what it awaits with three
# arguments, which Python 3.12 and later warn of; what is awaited is in modules that are not compiled.
MYPYC = (
    "fastsmtp.server.protocol",
    "fastsmtp.server.clienttimeouts",
    "fastsmtp.server.connectionlog",
    "fastsmtp.server.sessionevents",
    "fastsmtp.server.maildelivery",
    "fastsmtp.server.connectionmemory",
    "fastsmtp.server.connectiondescription",
    "fastsmtp.server.connectionfaults",
    "fastsmtp.server.consultation",
    "fastsmtp.server.planquestion",
    "fastsmtp.server.earlyoctets",
    "fastsmtp.server.resetting",
    "fastsmtp.server.shapedwriter",
    "fastsmtp.server.flowcontrol",
    "fastsmtp.server.tlshandshake",
    "fastsmtp.server.tlstransport",
    "fastsmtp.server.listening",
    "fastsmtp.server.reception",
    "fastsmtp.server.record",
    "fastsmtp.smtp.session",
    "fastsmtp.smtp.sessionstate",
    "fastsmtp.smtp.verbs",
    "fastsmtp.smtp.mailreader",
    "fastsmtp.smtp.bodymarks",
    "fastsmtp.smtp.askedcommand",
    "fastsmtp.smtp.sessionsettings",
    "fastsmtp.smtp.peer",
    "fastsmtp.smtp.gate",
    "fastsmtp.smtp.heldoctets",
    "fastsmtp.smtp.authentication",
    "fastsmtp.smtp.chunkcommand",
    "fastsmtp.smtp.commandlines",
    "fastsmtp.smtp.pathcommands",
    "fastsmtp.smtp.maildata",
    "fastsmtp.smtp.opening",
    "fastsmtp.smtp.openingcommands",
    "fastsmtp.smtp.otherprotocol",
    "fastsmtp.smtp.memory",
    "fastsmtp.smtp.outbox",
    "fastsmtp.smtp.policy",
    "fastsmtp.smtp.planner",
    "fastsmtp.smtp.command",
    "fastsmtp.smtp.displayname",
    "fastsmtp.smtp.mailbox",
    "fastsmtp.smtp.partialline",
    "fastsmtp.smtp.proxied",
    "fastsmtp.smtp.proxycommands",
    "fastsmtp.smtp.proxyheader",
    "fastsmtp.smtp.replies",
    "fastsmtp.smtp.violations",
    "fastsmtp.smtp.envelope",
    "fastsmtp.smtp.transaction",
    "fastsmtp.smtp.events",
    "fastsmtp.server.backpressure",
    "fastsmtp.capture.capture",
    "fastsmtp.capture.body",
    "fastsmtp.capture.texts",
    "fastsmtp.capture.email",
    "fastsmtp.capture.views",
    "fastsmtp.mime.splitter",
    "fastsmtp.mime.entity",
    "fastsmtp.mime.budget",
    "fastsmtp.mime.compact",
    "fastsmtp.mime.extensions",
    "fastsmtp.mime.header",
    "fastsmtp.mime.msgid",
    "fastsmtp.mime.parameters",
    "fastsmtp.mime.parameterscanner",
    "fastsmtp.mime.parametervalues",
    "fastsmtp.mime.words",
    "fastsmtp.mime.charset",
    "fastsmtp.mime.labels",
    "fastsmtp.mime.reading",
    "fastsmtp.mime.addresslist",
    "fastsmtp.mime.address",
    "fastsmtp.mime.addresstokens",
    "fastsmtp.mime.defects",
    "fastsmtp.mime.transfer",
    "fastsmtp.delivery.omission",
    "fastsmtp.delivery.payload",
    "fastsmtp.delivery.deferred",
    "fastsmtp.delivery.large",
    "fastsmtp.delivery.destination",
    "fastsmtp.delivery.workers",
    "fastsmtp.workers.pool",
    "fastsmtp.workers.queue",
    "fastsmtp.workers.worker",
    "fastsmtp.workers.answer",
    "fastsmtp.goridge.relay",
    "fastsmtp.goridge.frame",
)


def tell(text: str) -> None:
    if progress:
        os.write(int(progress), f"  {text}\n".encode())


def cython_extensions() -> list[Extension]:
    tell(f"Cython: {len(CYTHON)} modules")
    extensions = [
        Extension(
            name,
            [name.replace(".", "/") + ".pyx"],
            extra_compile_args=["-O3", *QUICK],
            define_macros=[("CYTHON_TRACE_NOGIL", "1")] if linetrace else [],
        )
        for name in CYTHON
    ]
    return cythonize(
        extensions,
        build_dir=str(BUILD / "cython"),
        nthreads=CORES,
        compiler_directives={
            "language_level": "3",
            "linetrace": linetrace,
            "boundscheck": False,
            "wraparound": False,
            "initializedcheck": False,
            "cdivision": True,
            "auto_pickle": False,
            "autotestdict": False,
        },
    )


def mypyc_extensions() -> list[Extension]:
    tell(f"mypyc: {len(MYPYC)} modules")
    generated = BUILD / "mypyc"
    generated.mkdir(parents=True, exist_ok=True)
    extensions: list[Extension] = mypycify(
        [
            # Lint is who checks types. Here libraries may be missing: what is theirs is then any object.
            "--config-file=",
            "--ignore-missing-imports",
            "--follow-imports=silent",
            # No cache: mypy looks at seconds and sizes to tell whether a file has changed, and it saves little.
            f"--cache-dir={os.devnull}",
            *(name.replace(".", "/") + ".py" for name in MYPYC),
        ],
        opt_level="1",
        debug_level="0",
        target_dir=str(generated),
        group_name=GROUP,
        # A C file for each module; `parts` puts them together again, so that several are compiled at a time.
        multi_file=True,
    )
    [group] = [extension for extension in extensions if extension.name == LIBRARY]
    shims = [extension for extension in extensions if extension.name != LIBRARY]
    native = [source for source in group.sources if Path(source).name.startswith("__native_")]
    seldom = [source for source in native if Path(source).stem[9:].replace("___", ".") in SELDOM]
    often = [source for source in native if source not in seldom]
    runtime = [source for source in group.sources if source not in native]
    group.depends = [*group.depends, *group.sources]
    group.sources = (
        parts(often, generated, "often", 3 * CORES)
        + parts(seldom, generated, UNOPTIMIZED, CORES)
        + parts(runtime, generated, "runtime", 1)
    )
    # The libraries that Python finds by the names of modules do nothing but ask that of the group. All of them are
    # linked from one object: most of a file of a few lines is headers.
    together = generated / "shims.c"
    write(
        together,
        "".join(
            f'#define PyInit___init__ PyInit___init__{index}\n#include "{os.path.abspath(shim.sources[0])}"\n'
            "#undef PyInit___init__\n"
            for index, shim in enumerate(shims)
        ),
    )
    for shim in shims:
        shim.sources = [str(together)]
    for extension in extensions:
        # Hidden symbols are called directly. bench_session takes 4.6 % less CPU than with a single file and all symbols
        # open to others, whether a few files or one for each module are compiled.
        extension.extra_compile_args = [*extension.extra_compile_args, *QUICK, "-fvisibility=hidden"]
    return extensions


def parts(sources: list[str], directory: Path, name: str, most: int) -> list[str]:
    """Write at most so many C files that include `sources`; of a file alone, most of the time goes to headers."""
    count = min(most, len(sources))
    filled = [0] * count
    included: list[list[str]] = [[] for _ in range(count)]
    for source in sorted(sources, key=os.path.getsize, reverse=True):
        index = filled.index(min(filled))
        filled[index] += os.path.getsize(source)
        included[index].append(source)
    paths = []
    for index, names in enumerate(included):
        path = directory / f"{name}{index}.c"
        write(path, "".join(f'#include "{os.path.abspath(name)}"\n' for name in names))
        paths.append(str(path))
    return paths


def write(path: Path, text: str) -> None:
    """Write a file if it differs, so that what was compiled from it stays newer."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


class Generation:
    """C code that mypyc generates in another process, one core busy; its extensions are described when they are needed.

    A process, not a thread: cythonize forks, and a module that another thread is importing just then could never be
    imported in what it forks.
    """

    def __init__(self) -> None:
        self.extensions = [Extension(name, []) for name in (LIBRARY, *MYPYC)]
        self._receiving, sending = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=lambda: sending.send(mypyc_extensions()), daemon=True)
        self._process.start()
        sending.close()

    def wait(self) -> None:
        """Wait for the code, and describe the extensions."""
        try:
            generated = {extension.name: extension for extension in self._receiving.recv()}
        except EOFError:
            sys.exit("mypyc failed")
        self._process.join()
        for extension in self.extensions:
            for name in (
                "sources",
                "depends",
                "include_dirs",
                "define_macros",
                "extra_compile_args",
                "extra_link_args",
            ):
                setattr(extension, name, getattr(generated[extension.name], name))


class BuildExtensions(build_ext):
    """Compiles what Cython has generated while mypyc is at work, then the rest.

    Runs as many C compilers as there are cores; setuptools gives the files of one extension to one after another.
    """

    def build_extensions(self) -> None:
        self.parallel = CORES
        began = told = time.monotonic()
        compile_in_turn = self.compiler.compile
        jobs: dict[str, Future[list[str]]] = {}
        lock = Lock()  # setuptools calls from a thread for each extension

        def compile_at_once(sources: list[str], extra_postargs: list[str], **options: Any) -> list[str]:
            nonlocal told
            with lock:
                for source in sources:
                    if source not in jobs:
                        level = ["-O0"] if Path(source).name.startswith(UNOPTIMIZED) else []
                        jobs[source] = pool.submit(
                            compile_in_turn, [source], extra_postargs=[*extra_postargs, *level], **options
                        )
            for job in as_completed({jobs[source] for source in sources}):
                job.result()
                if time.monotonic() - told > TELL_EVERY_S:
                    told = time.monotonic()
                    done = sum(job.done() for job in list(jobs.values()))
                    tell(f"C compiler: {done} files, {told - began:.0f} s")
            return [name for source in sources for name in jobs[source].result()]

        every = self.extensions
        with ThreadPoolExecutor(CORES) as pool:
            self.compiler.compile = compile_at_once
            self.extensions = every[: len(CYTHON)]
            super().build_extensions()
            if generation is not None:
                generation.wait()
                self.extensions = generation.extensions
                super().build_extensions()
        self.extensions = every


generation = Generation() if wanted and compiled else None
setup(
    ext_modules=(cython_extensions() if wanted else []) + (generation.extensions if generation is not None else []),
    cmdclass={"build_ext": BuildExtensions},
)
