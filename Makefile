# make run     serve Gatescope on http://127.0.0.1:8000 (HOST=…, PORT=… and every GATESCOPE_… variable pass through)
# make check   the fast half of the tests, in under a minute: no browser, no processes, no long training
# make test    all tests, in a real Chromium too
# make faults  bad inputs and faults, each tried on real servers, as a table (ROWS='12 15' tries these); some minutes
# make bench   the speed figures, side by side; writes build/bench.json
# make audit   what is known against the pinned packages (asks PyPI; AUDIT="-s osv" asks osv.dev)
# make fire    what it stands: 20,000 made-up requests (fuzz), five minutes of a crowd (load), the dearest requests (peaks),
#              and the long trials among the tests
# Each does its own set-up the first time and reinstalls only when pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOR_RUNNING := $(VENV)/.installed-for-running
FOR_TESTING := $(VENV)/.installed-for-testing
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

ifdef HOST
export GATESCOPE_HOST = $(HOST)
endif
ifdef PORT
export GATESCOPE_PORT = $(PORT)
endif
# The matrices are small: a second BLAS thread only makes them wait for each other.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1

# As many workers as there are cores; tests/conftest.py says which tests stay together.
IN_PARALLEL := -n auto --maxprocesses=4

.PHONY: run check test bench faults audit fire fuzz load peaks chromium

run: $(FOR_RUNNING)
	@$(BIN)/gatescope serve

check: $(FOR_TESTING)
	$(BIN)/python -m pytest -m "not slow and not fire" $(IN_PARALLEL)

test: $(FOR_TESTING) chromium
	$(BIN)/python -m pytest -m "not fire" $(IN_PARALLEL)

faults: $(FOR_TESTING) chromium
	$(BIN)/python -m tests.faults $(ROWS)

bench: $(FOR_TESTING) chromium
	$(BIN)/python -m tests.bench

# Not among the tests: it needs a network and changes by itself. What could not be looked up fails it too.
audit: | $(BIN)/python
	@test -x build/audit/bin/pip-audit || \
	  { $(BIN)/python -m venv build/audit && build/audit/bin/python -m pip install --quiet pip-audit; }
	build/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off $(AUDIT) -r constraints.txt

fire: fuzz load peaks chromium
	$(BIN)/python -m pytest -m fire

fuzz: $(FOR_TESTING)
	$(BIN)/python -m tests.fire.fuzz

load: $(FOR_TESTING)
	$(BIN)/python -m tests.fire.load

peaks: $(FOR_TESTING)
	$(BIN)/python -m tests.fire.peaks

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Gatescope needs Python 3.11 or newer; choose one with: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is incomplete here. On Debian install it with: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(FOR_RUNNING): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the pinned packages into $(VENV) (once)"
	@$(PIP_INSTALL) -e '.[compiled]'
	@touch $@

$(FOR_TESTING): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the pinned packages and the test tools into $(VENV) (once)"
	@$(PIP_INSTALL) -e '.[test]'
	@touch $(FOR_RUNNING) $@

# The browser tests take the Chromium on the PATH, else Debian's package.
chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	echo "No Chromium on the PATH: installing Debian's package"; \
	install="apt-get install -y --no-install-recommends chromium"; update="apt-get update"; \
	if [ "$$(id -u)" != 0 ]; then install="sudo $$install"; update="sudo $$update"; fi; \
	export DEBIAN_FRONTEND=noninteractive; $$install || { $$update && $$install; }
