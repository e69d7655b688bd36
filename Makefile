# make serve    set everything up in .venv, then listen on 127.0.0.1:1025 and show every mail here
# make test     set everything up, then run the tests against the installed package
# make check    lint, types, Cython lint
# make bench    load tests
# make build    sdist, and a wheel built from it, in dist/
# make clean    remove everything that make made
#
# PYTHON=python3.12 chooses the interpreter, ARGS="-o smtp.addr=:2525" goes to fastsmtp, ARGS="-k auth" to pytest.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
SOURCES := $(shell find fastsmtp -name '*.py' -o -name '*.py[xi]' -o -name '*.pxd' -o -name py.typed)
BUILT_FROM := $(SOURCES) pyproject.toml setup.py MANIFEST.in README.md LICENSE

.PHONY: serve test check bench build clean
.DELETE_ON_ERROR:

serve: $(VENV)/.installed
	@printf '%s\n' '' 'Send a first mail from another terminal:' '' \
	  "  python3 -c \"import smtplib; smtplib.SMTP('127.0.0.1', 1025).sendmail('me@example.com', 'you@example.com', 'Subject: Hello\\n\\nIt works.')\"" ''
	@exec $(BIN)/fastsmtp serve $(ARGS)

# What the tests speak with: PHP workers, and mail clients that we did not write.
test: $(VENV)/.installed-test
	@ci/install-packages php-cli phpunit libphp-phpmailer php-symfony-mailer swaks msmtp s-nail curl openssl util-linux \
	  libnet-ssleay-perl libio-socket-inet6-perl
	@command -v go >/dev/null || ci/install-packages golang-go
	@command -v npm >/dev/null || ci/install-packages nodejs npm
	ci/test $(BIN) tests $(ARGS)

check: $(VENV)/.installed-dev
	ci/check $(BIN)

bench: $(VENV)/.installed-bench
	@command -v php >/dev/null || ci/install-packages php-cli
	ci/test $(BIN) benchmarks $(ARGS)

build: $(VENV)/.installed-dev
	ci/build $(BIN)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find fastsmtp tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	ci/venv $(VENV) $(PYTHON)

# One stamp per set of extras. build/lib* would carry modules into the package that are gone from the sources.
$(VENV)/.installed: $(BUILT_FROM) | $(BIN)/python
	rm -rf build/lib* build/bdist*
	$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	@touch $@

$(VENV)/.installed-%: $(BUILT_FROM) | $(BIN)/python
	rm -rf build/lib* build/bdist*
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[$*]'
	@touch $(VENV)/.installed $@
