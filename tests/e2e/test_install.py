# SPDX-License-Identifier: MIT
"""`cmake --install` puts everything where a Debian system expects it, and it works from there."""
import json
import os
import shutil

import pytest

from harness import tools


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    destination = tmp_path_factory.mktemp("install")
    build = tools.bin_dir().parent
    r = tools.run(["cmake", "--install", build, "--prefix", "/usr"], timeout=60,
                  env={**os.environ, "DESTDIR": str(destination)})
    assert r.status == 0, r.err
    return destination


def test_files_are_where_they_belong(root):
    for name in ("usr/bin/evlb", "usr/bin/backend-sim", "usr/share/evlb/evlb.schema.json",
                 "usr/share/evlb/certbot-deploy-hook",
                 "usr/share/bash-completion/completions/evlb",
                 "usr/share/zsh/vendor-completions/_evlb",
                 "usr/share/fish/vendor_completions.d/evlb.fish",
                 "usr/share/doc/evlb/examples/quickstart.yaml", "usr/share/doc/evlb/README.md",
                 "usr/share/doc/evlb/LICENSE"):
        assert (root / name).is_file(), name
        assert (root / name).stat().st_size > 0, name


def test_nothing_lands_outside_usr(root):
    assert [p.name for p in root.iterdir()] == ["usr"]


def test_installed_program_runs(root, tmp_path):
    r = tools.run([root / "usr/bin/evlb", "--version"], env=tools.environment(tmp_path))
    assert r.status == 0 and r.out.startswith("evlb ")


def test_installed_starter_is_valid(root, tmp_path):
    starter = root / "usr/share/doc/evlb/examples/evlb.starter.yaml"
    r = tools.run([root / "usr/bin/evlb", "check", "-c", starter], env=tools.environment(tmp_path))
    assert r.status == 0, r.out


def test_installed_schema_is_json(root):
    assert json.loads((root / "usr/share/evlb/evlb.schema.json").read_text())


@pytest.mark.parametrize("page", ["man1/evlb.1", "man1/evlb-ctl.1", "man5/evlb.yaml.5"])
def test_manual_pages_are_clean(root, page):
    assert shutil.which("man"), "man-db is not installed (scripts/test installs it)"
    path = root / "usr/share/man" / page
    assert path.is_file()
    r = tools.run(["man", "--warnings", "-l", path], env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert r.status == 0 and r.err == "", r.err
    for heading in ("NAME", "DESCRIPTION"):
        assert heading in r.out
