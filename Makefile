# Two commands do everything: `make demo` and `make test`. Both create .venv first.
VENV := .venv
BIN := $(VENV)/bin
# The newest supported Python on the path, unless PYTHON names one.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	if $$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1; then echo $$p; break; fi; done)

# Prism, Beam's engine in Go, has the version of the Python package.
PRISM := $(shell sed -n 's/^apache-beam==//p' constraints.txt)

# Where the environment forbids bytecode, each process that a test starts would compile all modules again.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test test-pythons test-flink test-flink-cluster test-prism prism test-tools test-schedulers locks campaign simulate lint types same base-is-named docs clean help

help:
	@echo "make demo   raw logs -> dataset -> Stage I -> Stage II -> SavedModel -> report, on real data"
	@echo "make test   the tests          make lint   ruff          make types   mypy --strict"
	@echo "make test-pythons   fast tests on the other supported versions of Python, where installed"
	@echo "make test-flink   the dataset job on Apache Flink (needs Java 17 and Maven)"
	@echo "make test-flink-cluster   the same on a cluster that loses a task manager (two minutes)"
	@echo "make test-prism   the dataset job on Beam's Prism (needs Go)"
	@echo "make test-schedulers   generated jobs read by Airflow, Kubeflow and the schemas of Kubernetes"
	@echo "make test-tools   signatures, bills of materials, trackers and tables with other teams' tools"
	@echo "make locks   renews requirements/*.txt after a change of setup.py or constraints.txt (needs uv)"
	@echo "make campaign   the long form of the fault campaign: kills, full disks, flipped bits, bad input, hostile requests"
	@echo "make simulate SEED=n WEEKS=m   the life of small shops under faults: every stage, delta, push, promotion, rollback, forgetting"
	@echo "make same BASE=<commit>   compares what the working tree and that commit compute, bit by bit (four minutes)"
	@echo "make docs   the documentation site, in build/site"
	@echo "make clean  removes .venv, runs/ and build/"

demo: $(VENV)/demo.installed
	$(BIN)/tfrs-pretrain demo

test: $(VENV)/test.installed
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-pythons: $(VENV)/test.installed
	.ci/test_pythons

test-flink: $(VENV)/test.installed build/flink-job-server.jar
	$(BIN)/python -m pytest -m flink tests/beam_pipelines/test_flink.py

test-flink-cluster: $(VENV)/test.installed build/flink-job-server.jar
	$(BIN)/python -m pytest -m flink tests/beam_pipelines/test_flink_cluster.py

# Maven downloads about 120 MB, once. The jar names the files in its repository.
build/flink-job-server.jar: deploy/flink/pom.xml deploy/flink/class_path_jar.py
	$(PYTHON) deploy/flink/class_path_jar.py $@

test-prism: $(VENV)/test.installed build/prism-$(PRISM)/prism
	$(BIN)/python -m pytest -m prism tests/beam_pipelines/test_prism.py

prism: build/prism-$(PRISM)/prism

test-tools: $(VENV)/test.installed
	.ci/test_tools

locks:
	.ci/lock

build/prism-$(PRISM)/prism:
	GOBIN=$(CURDIR)/build/prism-$(PRISM) go install github.com/apache/beam/sdks/v2/go/cmd/prism@v$(PRISM)

# Airflow and KFP need other versions of packages than this project, and than each other: one environment each.
test-schedulers: $(VENV)/test.installed $(VENV)/airflow.tools $(VENV)/kubernetes.tools
	$(BIN)/python -m pytest -m schedulers tests/deploy/test_with_schedulers.py

$(VENV)/%.tools: tests/deploy/schedulers/%.txt | $(BIN)/python
	$(PYTHON) -m venv $(VENV)/$*
	$(VENV)/$*/bin/python -m pip install --quiet --requirement $<
	@touch $@

# One process, so that one table is printed; the counts are in build/campaign.json too.
campaign: $(VENV)/test.installed
	$(BIN)/python -m pytest -m campaign --campaign long --campaign-json build/campaign.json tests/campaign

# One life: make simulate SEED=7 LIFE=12; with a planted bug: BUG='max_size is a soft cap'.
SEED ?= 0
WEEKS ?= 52000
simulate: $(VENV)/test.installed
	$(BIN)/python tests/simulation/simulate.py --seed $(SEED) --weeks $(WEEKS) $(if $(LIFE),--life $(LIFE)) $(if $(BUG),--bug '$(BUG)')

lint: $(VENV)/test.installed
	$(BIN)/ruff check .

types: $(VENV)/test.installed
	$(BIN)/mypy

# The script ends with exit code 1 where something differs, and with 2 where a commit could not be run.
same: base-is-named $(VENV)/test.installed
	$(BIN)/python benchmarks/same.py $(BASE)

base-is-named:
	@test -n "$(BASE)" || { echo "name the commit to compare with: make same BASE=<commit, branch or tag>"; exit 2; }

# MkDocs Material advertises its successor on each build unless told not to.
docs: $(VENV)/docs.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --config-file .mkdocs.yml

$(VENV)/%.installed: setup.py constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found; install one, or name it: make PYTHON=/path/to/python demo"; exit 2; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) runs build
