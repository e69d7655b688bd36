"""What is compiled; every other setting is in pyproject.toml.

Two compilers, for two kinds of code. What looks at octets is written in Cython. What is Python, typed, and on the way
of every mail is compiled by mypyc as it stands: the same files run uncompiled (FASTSMTP_MYPYC=0).
A mail of 1 KB then costs 87 us of user CPU instead of 58, in one run on a busy machine.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from mypyc.build import mypycify
from setuptools import Extension, setup

# FASTSMTP_LINETRACE=1 builds Cython code with line tracing, for coverage and profilers.
linetrace = os.environ.get("FASTSMTP_LINETRACE") == "1"
compiled = os.environ.get("FASTSMTP_MYPYC") != "0"

CYTHON = (
    "fastsmtp._json",
    "fastsmtp._parse",
    "fastsmtp.identifier",
    "fastsmtp.mime._base64",
    "fastsmtp.mime._fields",
    "fastsmtp.mime._quoted_printable",
)
# The way of a mail, in the order in which it takes it. One group: calls between these modules are calls of C functions.
# None of them has a coroutine. When one that is compiled is cancelled, it calls throw() of what it awaits with three
# arguments, which Python 3.12 and later warn of; what is awaited is in modules that are not compiled.
MYPYC = (
    "fastsmtp.protocol",
    "fastsmtp.session",
    "fastsmtp.transfer",
    "fastsmtp.channel",
    "fastsmtp.command",
    "fastsmtp.line",
    "fastsmtp.reply",
    "fastsmtp.violations",
    "fastsmtp.envelope",
    "fastsmtp.transaction",
    "fastsmtp.events",
    "fastsmtp.inflight",
    "fastsmtp.capture",
    "fastsmtp.mime.splitter",
    "fastsmtp.mime.entity",
    "fastsmtp.mime.header",
    "fastsmtp.mime.parameters",
    "fastsmtp.mime.words",
    "fastsmtp.mime.charset",
    "fastsmtp.mime.address",
    "fastsmtp.mime.defects",
    "fastsmtp.mime.decode",
    "fastsmtp.payload",
    "fastsmtp.workers.pool",
    "fastsmtp.workers.worker",
    "fastsmtp.workers.answer",
    "fastsmtp.goridge.relay",
    "fastsmtp.goridge.frame",
)


def cython_extensions() -> list[Extension]:
    extensions = [
        Extension(
            name,
            [name.replace(".", "/") + ".pyx"],
            extra_compile_args=["-O3"],
            define_macros=[("CYTHON_TRACE_NOGIL", "1")] if linetrace else [],
        )
        for name in CYTHON
    ]
    return cythonize(
        extensions,
        build_dir="build/cython",
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
    Path("build/mypyc").mkdir(parents=True, exist_ok=True)
    return mypycify(
        [
            # Lint is who checks types. Here libraries may be missing: what is theirs is then any object.
            "--config-file=",
            "--ignore-missing-imports",
            "--follow-imports=silent",
            "--cache-dir=build/mypyc/cache",
            *(name.replace(".", "/") + ".py" for name in MYPYC),
        ],
        opt_level="2",
        debug_level="0",
        target_dir="build/mypyc",
        group_name="fastsmtp",
    )


setup(ext_modules=cython_extensions() + (mypyc_extensions() if compiled else []))
