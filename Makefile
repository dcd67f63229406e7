# Everything runs from a virtual environment that is made here; only Python and make must be there already.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Each has a lock and an image; the first three are the services.
PARTS := gateway sync-worker vault-broker provisioning exchange
ROOTS := contracts services/chassis services/gateway services/sync-worker services/vault-broker .
RUN := $(VENV)/run.stamp
TEST := $(VENV)/test.stamp
NPM := $(VENV)/npm
# Programs that check the manifests, each group in a virtual environment of its own.
GROUPS := manifests checkov
TOOLS := $(GROUPS:%=$(VENV)/%/ready.stamp)
# The stack of others that `make bench` measures beside ours, with a profiler.
BENCH := $(VENV)/bench/ready.stamp
# Clients of exchanges by others that can not stand beside those among the requirements of the tests.
CLIENTS := $(VENV)/clients/ready.stamp
OVERLAYS := single-node production demo
PORT ?= 3000
PROMETHEUS ?= prometheus
# Processes of tests beside each other; 0 runs them in one, in order. More than one for each processor makes waits time out.
JOBS ?= 2
# Each file of tests stays in one process, which starts the servers that its tests share.
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
# pytest's exit code where ARGS choose none of its tests.
NOTHING_CHOSEN := 5
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
# uv keeps each pinned version while it fits pyproject.toml; ARGS=--upgrade takes newer ones.
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help install demo up rotate monitor check test lint contracts publish tools manifests bench lock images test-containers clean
# Each process of the tests imports everything, which takes it twice as long where nothing compiled is kept.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this help
	@printf 'Crypto Pocket Butler. Needs Python 3.11 or newer and make.\n\n'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 25

install: $(RUN) ## Make the virtual environment with the run-time requirements

demo: $(RUN) ## Start everything in a temporary directory and sync a simulated account (ONCE=1: then end; HISTORY=1: with a year)
	@exec $(BIN)/python -m deploy.local demo $(if $(ONCE),--once) $(if $(HISTORY),--history)

up: $(RUN) ## Start everything, data in .butler/ (PORT=3000, SIMULATED=1: without the real exchanges)
	@exec $(BIN)/python -m deploy.local up --port $(PORT) $(if $(SIMULATED),--simulated)

rotate: $(RUN) ## Replace a key of the running stack (KEY=jwt, for example; without it: which keys there are)
	@exec $(BIN)/python -m deploy.local rotate $(or $(KEY),--help)

monitor: $(RUN) ## Run a Prometheus with our alerts beside `make up` (PORT=9090, PROMETHEUS=: another than that of PATH)
	@exec $(BIN)/python -m deploy.local monitor --port $(if $(filter 3000,$(PORT)),9090,$(PORT)) --program $(PROMETHEUS)

check: lint $(CLIENTS) ## Check style and types, and run the tests that do not need the whole system (JOBS=2: in so many processes)
	$(PYTEST) -m 'not stack and not containers and not alone' $(ARGS)

test: $(TEST) $(CLIENTS) ## Run all tests (JOBS=2: in so many processes; ARGS='-k name' to choose)
	$(PYTEST) -m 'not containers and not alone' $(ARGS); many=$$?; \
		case $$many in 0 | $(NOTHING_CHOSEN)) ;; *) exit $$many ;; esac; \
		$(BIN)/python -m pytest -m alone $(ARGS); alone=$$?; \
		case $$alone/$$many in 0/* | $(NOTHING_CHOSEN)/0) ;; *) exit $$alone ;; esac

lint: $(TEST) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

contracts: $(RUN) ## Write the schemas of the messages and the AsyncAPI document
	$(BIN)/python -m contracts.wire.asyncapi

publish: $(TEST) ## Keep the schemas as those of a release, where every reader of the last one can read them
	$(BIN)/python -m pytest -q tests/contracts/test_cards.py tests/contracts/test_published.py
	cp contracts/schemas/*.json contracts/published/

tools: $(TOOLS) ## Install the programs that check the manifests; without them these tests are skipped

manifests: $(TOOLS) ## Write the rendered manifests of each overlay
	for overlay in $(OVERLAYS); do $(VENV)/manifests/bin/kubectl kustomize deploy/kubernetes/overlays/$$overlay \
		--output deploy/kubernetes/overlays/$$overlay/rendered.yaml || exit; done

bench: $(TEST) $(BENCH) ## Measure the system beside a usual stack; needs redis-server (ARGS=--help for its options)
	$(BIN)/python -m tests.bench $(ARGS)

lock: $(TEST) ## Pin the requirements of pyproject.toml with hashes (ARGS=--upgrade for newer versions)
	$(COMPILE) $(ARGS) --output-file requirements/run.txt \
		--extra contracts --extra chassis $(PARTS:%=--extra %) --extra local
	$(COMPILE) $(ARGS) --output-file requirements/test.txt --all-extras --constraints requirements/run.txt
	for part in $(PARTS); do case $$part in exchange) more= ;; provisioning) more='--extra contracts' ;; \
		*) more='--extra contracts --extra chassis' ;; esac; $(COMPILE) --output-file requirements/$$part.txt \
		--constraints requirements/run.txt $$more --extra $$part || exit; done
	$(COMPILE) --output-file requirements/build.txt --constraints requirements/test.txt --extra build
	for group in $(GROUPS) bench clients; do $(COMPILE) $(ARGS) --output-file requirements/$$group.txt --group $$group || exit; done
	npm install --prefix requirements/npm --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts

images: ## Build the images of the parts, each with its SBOM in build/images/ (BASE_IMAGE=; TAG=: a trial, no SBOM)
	PYTHON=$(PYTHON) bash deploy/containers/build.sh $(PARTS)

test-containers: $(TEST) ## Run the tests inside the built images (WITHOUT_CONTAINERS=1: skip them without an engine)
	$(BIN)/python -m pytest -n0 -m containers $(ARGS)
	$(BIN)/python -m pytest -n0 --cluster $(ARGS)

clean: ## Remove the virtual environment and caches, not the data in .butler/
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is " \
		+ sys.version.split()[0] + "; name another with PYTHON=")'
	@echo 'Making the virtual environment in $(VENV)'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN): requirements/run.txt | $(BIN)/python
	@echo 'Installing the run-time requirements'
	@$(PIP_INSTALL) -r requirements/run.txt
	@for root in $(ROOTS); do (CDPATH= cd "$$root" && pwd) || exit; done > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/butler.pth"
	@touch $@

$(TEST): requirements/test.txt requirements/npm/package-lock.json $(RUN)
	@echo 'Installing the requirements of the tests'
	@$(PIP_INSTALL) -r requirements/test.txt
	@rm -rf $(NPM) && cp -R requirements/npm $(NPM)
	@npm ci --prefix $(NPM) --ignore-scripts --no-audit --no-fund --silent || { rm -rf $(NPM); \
		echo 'WARNING: npm could not install: THE TESTS WITH FOREIGN READERS OF OUR CONTRACTS ARE SKIPPED' >&2; }
	@touch $@

$(TOOLS) $(BENCH) $(CLIENTS): $(VENV)/%/ready.stamp: requirements/%.txt | $(BIN)/python
	@echo 'Installing the programs of requirements/$*.txt'
	@$(PYTHON) -m venv $(VENV)/$*
	@$(VENV)/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
