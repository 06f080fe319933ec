# For those who package pycache-sys, or are used to make. Everything here is one line of pip, pytest or a linter.
#
#   make install DESTDIR=/tmp/package prefix=/usr
#
# Installing needs pip and hatchling, and no network.

PYTHON ?= python3
prefix ?= /usr/local
DESTDIR ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore
PIP_OFFLINE = --quiet --no-index --no-deps
WHEELS = build/wheel

all: wheel

wheel:
	rm -rf $(WHEELS)
	$(PYTHON) -m pip wheel $(PIP_OFFLINE) --no-build-isolation --wheel-dir $(WHEELS) .

# Debian's Python appends "local" to any prefix, unless it is told that this is for a package.
SCHEME = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_default_scheme())')
install: wheel
	if [ "$(SCHEME) $(prefix)" = "posix_local /usr/local" ]; then prefix=/usr; \
	else prefix="$(prefix)"; export DEB_PYTHON_INSTALL_LAYOUT=deb_system; fi; \
	$(PYTHON) -m pip install $(PIP_OFFLINE) --find-links $(WHEELS) --ignore-installed --no-compile \
		--no-warn-script-location --root "$(DESTDIR)/" --prefix "$$prefix" pycache-sys

# For packages whose prefix is /usr: what systemd and AppArmor look for in places of their own.
install-system:
	install -D -m 644 -t $(DESTDIR)/usr/lib/systemd/system systemd/system/*
	install -D -m 644 -t $(DESTDIR)/usr/lib/systemd/system-preset systemd/system-preset/*
	install -D -m 644 -t $(DESTDIR)/usr/lib/systemd/user systemd/user/*
	install -D -m 644 -t $(DESTDIR)/usr/lib/systemd/user-preset systemd/user-preset/*
	install -D -m 644 -t $(DESTDIR)/usr/lib/sysusers.d systemd/sysusers.d/*
	install -D -m 644 -t $(DESTDIR)/usr/lib/tmpfiles.d systemd/tmpfiles.d/*
	install -D -m 644 -t $(DESTDIR)/usr/share/user-tmpfiles.d systemd/user-tmpfiles.d/*
	install -D -m 644 -t $(DESTDIR)/etc/apparmor.d/abstractions apparmor/abstractions/pycache-sys*
	install -D -m 644 -t $(DESTDIR)/etc/apparmor.d/abstractions/python.d apparmor/abstractions/python.d/*

check:
	PYTHONPATH=src $(PYTHON) -m pytest

SCRIPTS = .ci/run rpm/postun.sh alpm/pycache-sys.install alpm/PKGBUILD debian/check debian/py3compile.sh $(wildcard debian/*.preinst debian/*.postinst debian/*.prerm debian/*.postrm)

lint:
	shellcheck --severity=warning $(SCRIPTS)
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	PYTHONPATH=src $(PYTHON) -c 'from importlinter.cli import lint_imports_command as run; run()'

bench:
	$(PYTHON) bench/rebuild.py

clean:
	rm -rf build dist cache .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +

.PHONY: all wheel install install-system check lint bench clean
