"""The Cython extensions; every other setting is in pyproject.toml."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

# FASTSMTP_LINETRACE=1 builds with line tracing, for coverage and profilers.
linetrace = os.environ.get("FASTSMTP_LINETRACE") == "1"

extensions = [
    Extension(
        name,
        [name.replace(".", "/") + ".pyx"],
        extra_compile_args=["-O3"],
        define_macros=[("CYTHON_TRACE_NOGIL", "1")] if linetrace else [],
    )
    for name in ("fastsmtp._parse", "fastsmtp.mime._base64", "fastsmtp.mime._quoted_printable")
]

setup(
    ext_modules=cythonize(
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
)
