# hotspare. `make demo` and `make test` need python3 (3.11+), make and git, nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help
help: ## show this help
	@grep -E '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(STAMP): requirements-dev.lock pyproject.toml deploy/bootstrap.py
	@$(PYTHON) deploy/bootstrap.py $(VENV) requirements-dev.lock
	@touch $@

.PHONY: setup
setup: $(STAMP) ## create .venv from the locked, hashed requirements

.PHONY: setup-node
setup-node: ## the same without demo and tests: what a box needs (also glibc 2.27)
	@$(PYTHON) deploy/bootstrap.py $(VENV) requirements.lock

.PHONY: demo
demo: $(STAMP) ## run the pair on this machine: a real failover in one command
	@$(BIN)/nodectl demo $(DEMO)

.PHONY: test
test: unit e2e ## run all tests

.PHONY: unit
unit: $(STAMP) ## run the tests without real node processes
	@$(BIN)/python -m pytest -n 2 -m "not e2e and not chaos and not bench and not boxes" $(PYTEST)

.PHONY: e2e
e2e: $(STAMP) ## run the tests with real node processes
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m e2e $(PYTEST)

.PHONY: sim
sim: $(STAMP) ## run the production pair in simulated storms: 40 seeds, 27 cluster hours
	@$(BIN)/nodectl simulate --seed 1 --count 20 --hours 0.5 --stores 3 --jobs 2 --insist
	@$(BIN)/nodectl simulate --seed 1 --count 20 --hours 0.5 --stores 1 --jobs 2 --insist

.PHONY: sim-night
sim-night: $(STAMP) ## the same all night long: COUNT seeds of two hours for each topology
	@$(BIN)/nodectl simulate --seed 100000 --count $(or $(COUNT),300) --hours 2 --stores 3 --jobs 2
	@$(BIN)/nodectl simulate --seed 100000 --count $(or $(COUNT),300) --hours 2 --stores 1 --jobs 2

.PHONY: chaos
chaos: $(STAMP) ## run the pair on hosts of its own and break them (root, iproute2, nftables)
	@$(BIN)/python -m pytest -n 3 -m "chaos and not alone and not soak" $(PYTEST)
	@$(BIN)/python -m pytest -m "chaos and alone and not soak" $(PYTEST)

.PHONY: boxes
boxes: $(STAMP) ## deploy to boxes that boot real systemd here (root, debootstrap, systemd-container)
	@$(BIN)/python -m pytest -n 2 -m boxes $(PYTEST)

.PHONY: chaos-soak
chaos-soak: $(STAMP) ## an hour and more: jitter with every core busy, all mishaps at random
	@$(BIN)/python -m pytest -s -m "chaos and soak" $(PYTEST)
.PHONY: hunt
hunt: $(STAMP) ## look for the first seed that shows each broken lease rule, from 0
	@$(BIN)/python -m tests.broken.hunt $(HUNT)

.PHONY: load-bearing
load-bearing: $(STAMP) ## renew the tables of docs/load-bearing.md
	@$(BIN)/python -m tests.broken.table

.PHONY: mutants
mutants: $(STAMP) ## change election/ at random and count what the tests notice (COUNT= SEED= MODULES=)
	@$(BIN)/python -m tests.mutation.run --count $(or $(COUNT),0) --seed $(or $(SEED),0) $(MODULES)

.PHONY: bench-failover
bench-failover: $(STAMP) ## measure failovers, and what else one could pick (root; BENCH='--runs 2' tries it)
	@$(BIN)/python -m tests.bench.main $(BENCH)

# --- boxes; CLUSTER= is the folder of cluster.toml, DRY_RUN=1 shows and changes nothing ---
# What is typed after `make` is in the environment of its commands: deploy/__main__.py lists it.
DEPLOY = @$(BIN)/python -m deploy
# Some shells export a HOST or NAME of this machine: only a typed one names a box or a cluster.
$(foreach name,HOST NAME,$(if $(filter environment,$(origin $(name))),$(eval unexport $(name))))

.PHONY: wheels
wheels: $(STAMP) ## fetch the wheels of a box, to deploy without a network (ARCH=aarch64 PY=3.12)
	@$(BIN)/python -m deploy.wheels fetch $(or $(ARCH),aarch64) $(or $(PY),3.12) \
	  $(or $(HOTSPARE_CACHE),$(HOME)/.cache/hotspare)/$(or $(ARCH),aarch64)-$(or $(PY),3.12)/locked

.PHONY: wheels-check
wheels-check: $(STAMP) ## show that every locked package has a wheel for each supported ARM image
	@$(BIN)/python -m deploy.wheels check

.PHONY: deploy-primary
deploy-primary: $(STAMP) ## bring the preferred node to its box
	$(DEPLOY) primary

.PHONY: deploy-standby
deploy-standby: $(STAMP) ## bring the standby to its box
	$(DEPLOY) standby

.PHONY: deploy-witness
deploy-witness: $(STAMP) ## add a third lease store (HOST=), or bring it again
	$(DEPLOY) witness

.PHONY: upgrade
upgrade: $(STAMP) ## bring this version and cluster.toml to both nodes, trading on
	$(DEPLOY) upgrade

.PHONY: deploy-strategy
deploy-strategy: $(STAMP) ## the same, after a change of the strategy's file
	$(DEPLOY) upgrade

.PHONY: rollback
rollback: $(STAMP) ## switch both nodes (or BOX=) to what they ran before, trading on
	$(DEPLOY) rollback

.PHONY: status
status: $(STAMP) ## who leads, asked of a box
	$(DEPLOY) status

.PHONY: logs
logs: $(STAMP) ## follow the log of a box (BOX=)
	$(DEPLOY) logs

.PHONY: drill
drill: $(STAMP) ## hurt the pair on purpose (DRILL='switchover', BOX=)
	$(DEPLOY) drill $(DRILL)

.PHONY: backup
backup: $(STAMP) ## pull a tried backup of both nodes into CLUSTER/backups (WITH_SECRETS=1: encrypted)
	$(DEPLOY) backup

.PHONY: restore
restore: $(STAMP) ## bring a lost board back on a fresh card (BOX=, FILE=)
	$(DEPLOY) restore

.PHONY: uninstall
uninstall: $(STAMP) ## give a box back as it was found (BOX=, KEEP_STATE=1)
	$(DEPLOY) uninstall

.PHONY: lint
lint: $(STAMP) ## check style and formatting
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

.PHONY: fmt
fmt: $(STAMP) ## format and mend what can be mended
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

.PHONY: types
types: $(STAMP) ## check types, strictly
	@$(BIN)/mypy

.PHONY: arch
arch: $(STAMP) ## check the import contracts
	@$(BIN)/lint-imports

.PHONY: check
check: lint types arch test ## linters, types, import contracts, tests (CI adds sim, chaos, boxes)

.PHONY: lock
lock: ## resolve the locked requirements anew (needs uv)
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra install pyproject.toml -o requirements.lock
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra dev pyproject.toml -o requirements-dev.lock

.PHONY: clean
clean: ## remove .venv and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
