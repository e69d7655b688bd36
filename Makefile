# make serve         set everything up in .venv, then listen, and show every mail here
# make test          set everything up, then run the tests against the installed package
# make test-clients  the tests with mail programs that are too big for each run: Thunderbird, and libraries that are built
# make check         lint, types, Cython lint, and the instructions that usual mails cost
# make bench         load tests
# make fuzz          a minute of random dialogues with running servers, every mail accounted for; ARGS="3600" for an hour
# make build         sdist, and a wheel built from it, in dist/
# make wheels        wheels for every Python, in dist/wheels/, for users without a compiler; by cibuildwheel where Docker runs
# make test-pythons  the tests on every Python from 3.10 to 3.14 that is found here
# make test-newest   the tests with the newest version of everything, instead of those in ci/constraints.txt
# make clean         remove everything that make made
#
# PYTHON=python3.12 chooses the interpreter, ARGS="-o smtp.addr=:2525" goes to fastsmtp, ARGS="-k auth" to pytest,
# ARGS="3.12 3.13" to make wheels.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
# Builds the package if a source has changed, and installs it with what the named extra requires.
INSTALL = $(BIN)/python ci/install
# pip compiles nothing, which takes longer than all the rest: Python keeps the bytecode of what is imported.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test test-clients check bench fuzz build wheels test-pythons test-newest clean

serve: $(BIN)/python
	@$(INSTALL)
	@exec $(BIN)/fastsmtp serve $(ARGS)

# What the tests speak with: PHP workers, and mail clients that we did not write.
test: $(BIN)/python
	@$(INSTALL) test
	@ci/install-packages php-cli phpunit libphp-phpmailer php-symfony-mailer swaks msmtp s-nail curl openssl util-linux \
	  nginx libnginx-mod-mail haproxy \
	  libnet-ssleay-perl libio-socket-inet6-perl git-email libauthen-sasl-perl libmailtools-perl ruby netcat-openbsd
	@command -v go >/dev/null || ci/install-packages golang-go
	@ci/install-nats $(BIN)/python
	@ci/install-postfix
	@ci/install-rabbitmq
	@command -v npm >/dev/null || ci/install-packages nodejs npm
	@command -v chromium >/dev/null || ci/install-packages chromium fonts-dejavu-core
	ci/test $(BIN) tests $(ARGS)

# By hand: 600 MB of packages, and some minutes for the first time.
test-clients: $(BIN)/python
	@$(INSTALL) test
	@ci/install-packages php-cli thunderbird xvfb pkg-config libssl-dev
	@command -v go >/dev/null || ci/install-packages golang-go
	@command -v cargo >/dev/null || ci/install-packages cargo
	@command -v mvn >/dev/null || ci/install-packages maven default-jdk-headless
	ci/test $(BIN) tests/e2e/test_heavy_clients.py -m heavy -o faulthandler_timeout=900 $(ARGS)

check: $(BIN)/python
	@$(INSTALL) dev
	@command -v valgrind >/dev/null || ci/install-packages valgrind
	ci/check $(BIN)

bench: $(BIN)/python
	@$(INSTALL) bench
	@command -v php >/dev/null || ci/install-packages php-cli
	ci/test $(BIN) benchmarks $(ARGS)

fuzz: $(BIN)/python
	@$(INSTALL) test
	@command -v php >/dev/null || ci/install-packages php-cli
	$(BIN)/python ci/fuzz wire $(ARGS)

build: $(BIN)/python
	@$(INSTALL) dev
	ci/build $(BIN)

wheels:
	ci/wheels $(ARGS)

test-pythons:
	ci/pythons

test-newest:
	rm -rf .venv-newest
	FASTSMTP_NEWEST=1 $(MAKE) --no-print-directory test VENV=.venv-newest

clean:
	rm -rf $(VENV) .venv-3.* .venv-newest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find fastsmtp tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	ci/venv $(VENV) $(PYTHON)
