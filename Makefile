# Each target has a description; `make` alone prints them.
PYTHON ?= python3
PORT ?= 5000
DEV := .venv
TRAIN := .venv-train
RELEASE := .venv-release
LOCK = $(DEV)/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-emit-index-url --no-annotate

.DEFAULT_GOAL := help

# What tests run beside Python: programs of Debian, or fetched into .cache.
PROGRAMS := postgresql mariadb chromium machines systemd buildah helm promtool release-tools
.PHONY: help demo playground test test-long lint format docs lock clean env train-env client-envs release-env images screenshots \
  release-rehearsal $(PROGRAMS)

help: ## Print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: env train-env ## Show everything on a real training and evaluation; ONCE=1 exits at the end, PORT=N picks another port
	$(DEV)/bin/python -m scripts.demo --port $(PORT) --train-python $(TRAIN)/bin/python $(if $(ONCE),--once)

playground: env train-env ## Try mltrail by hand, without a GitLab (see docs/tutorial.md); PORT=N picks another port
	$(DEV)/bin/python -m scripts.playground --port $(PORT) --train-python $(TRAIN)/bin/python

test: env train-env client-envs release-env $(PROGRAMS) ## Run all tests, two files at a time, the longest first; ARGS="-k name" runs some
	$(DEV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-long: env train-env client-envs release-env $(PROGRAMS) ## Run the tests that have a long form, at full length (hours)
	LONG=1 $(DEV)/bin/python -m pytest -n 0 -m long $(ARGS)

lint: env ## Check style, types, layers and migrations; changes nothing
	$(DEV)/bin/ruff check
	$(DEV)/bin/ruff format --check
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports
	$(DEV)/bin/python -m scripts.check_migrations
	$(DEV)/bin/python -m scripts.component_files --check
	$(DEV)/bin/python -m scripts.image_name >/dev/null

format: env ## Fix what the linter can fix
	$(DEV)/bin/ruff check --fix-only
	$(DEV)/bin/ruff format

docs: env ## Build the docs site into .site/html; a warning, such as a broken link, is an error
	$(DEV)/bin/python -m scripts.docs_site

lock: env ## Lock the newest versions that the ranges in pyproject.toml allow
	$(LOCK) pyproject.toml --extra server --extra s3 --extra postgres --extra traces --extra backup --extra mysql --extra otel --group dev \
	  --output-file requirements/dev.txt
	$(LOCK) --group train --output-file requirements/train.txt
	$(LOCK) --group release --output-file requirements/release.txt
	$(LOCK) pyproject.toml --output-file image/requirements.txt
	$(LOCK) pyproject.toml --extra server --extra s3 --extra postgres --extra traces --extra backup --extra otel \
	  --output-file image/requirements-server.txt
	$(LOCK) --python-version 3.11 requirements/patroni.in --output-file requirements/patroni.txt
	for clients in mlflow-1.28 mlflow-2.7 mlflow-2 mlflow-3.1 mlflow-3.5 mlflow-3.10 mlflow-3.14 mlflow-3; do \
	  $(LOCK) --python-version 3.11 requirements/clients/$$clients.in \
	    $$(ls requirements/clients/$$clients.override 2>/dev/null | sed 's/^/--override /') \
	    --output-file requirements/clients/$$clients.txt; done

release-rehearsal: release-env release-tools helm buildah ## Go through a whole release against registries on this machine; see dist/rehearsal
	PYTHONPATH=component:. $(RELEASE)/bin/python -m scripts.release.rehearse

images: env ## Build both images for this machine by buildah, as localhost/mltrail/server and localhost/mltrail/cli
	rm -rf dist && $(DEV)/bin/uv build --quiet --wheel --out-dir dist
	PYTHON=$(DEV)/bin/python image/build server localhost/mltrail/server "$$(dpkg --print-architecture)"
	PYTHON=$(DEV)/bin/python image/build cli localhost/mltrail/cli "$$(dpkg --print-architecture)"

screenshots: env chromium ## Take new pictures of the pages and of the comment
	$(DEV)/bin/python -m scripts.screenshots
	$(DEV)/bin/python -m scripts.note_pictures

clean: ## Remove environments, caches and the demo's data
	rm -rf $(DEV) $(TRAIN) $(RELEASE) .venv-clients .cache .hypothesis .demo .playground .site public .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

client-envs: ## Make the environments of the MLflow clients that we test with
	PYTHON=$(PYTHON) scripts/client_envs

postgresql: ## Install PostgreSQL's programs for the tests if they are missing (Debian, as root)
	scripts/postgresql

mariadb: ## Install MariaDB's programs for the tests if they are missing (Debian, as root)
	scripts/mariadb

chromium: ## Install Chromium for the tests of the pages if it is missing (Debian, as root)
	scripts/chromium

machines: ## Install what the tests of several machines need if it is missing (Debian, as root)
	scripts/machines

systemd: ## Install systemd, and what docs/how-to/install.md installs, for the tests if they are missing (Debian, as root)
	scripts/systemd

buildah: ## Install buildah and make a small Debian, for the tests of the images, if they are missing (Debian, as root)
	scripts/buildah

helm: env ## Fetch helm for the tests of the chart if it is missing
	scripts/helm

promtool: ## Install promtool for the tests if it is missing (Debian, as root)
	scripts/promtool

release-tools: ## Fetch cosign and an image registry for rehearsals from Debian; nothing is installed
	scripts/release_tools

env: $(DEV)/.ready
train-env: $(TRAIN)/.ready
release-env: $(RELEASE)/.ready

# Virtual environments are updated when their contents have changed.
$(DEV)/.ready: requirements/dev.txt pyproject.toml scripts/make_env
	PYTHON=$(PYTHON) scripts/make_env $(DEV) requirements/dev.txt --editable

$(TRAIN)/.ready: requirements/train.txt scripts/make_env
	PYTHON=$(PYTHON) scripts/make_env $(TRAIN) requirements/train.txt

$(RELEASE)/.ready: requirements/release.txt scripts/make_env
	PYTHON=$(PYTHON) scripts/make_env $(RELEASE) requirements/release.txt
