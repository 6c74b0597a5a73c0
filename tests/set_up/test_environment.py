"""The private environment is made once, found whole in a blink, and mended however it broke."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import inventory
import pytest
import torch_build
from stages import SetUpError

from tests.support.clone import Clone, use_index
from tests.support.wheels import wheel

PRODUCT = ("product",)


def test_once_made_nothing_is_run_again(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a process was started for an environment that is whole")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    assert clone.prepare() == clone.environment.python


def test_what_the_locks_name_is_there_and_torch_is_the_pinned_one(clone: Clone) -> None:
    """beta wants any torch, and a newer one is in the index."""
    versions = inventory.installed(clone.site)
    wanted = {"alpha": "1.0", "beta": "2.0", "torch": "9.1", "finetune-studio": "0.1"}
    assert {name: versions.get(name) for name in wanted} == wanted
    assert "tool" not in versions
    clone.prepare("product", "test")
    assert inventory.installed(clone.site)["tool"] == "3.0"


def _no_python(clone: Clone) -> None:
    clone.environment.python.unlink()


def _no_module(clone: Clone) -> None:
    (clone.site / "alpha" / "__init__.py").unlink()


def _cut_library(clone: Clone) -> None:
    (clone.site / "alpha" / "native.so").write_bytes(b"")


def _killed_while_installing(clone: Clone) -> None:
    (clone.site / "alpha-1.0.dist-info" / "RECORD").unlink()


def _killed_while_removing(clone: Clone) -> None:
    (clone.site / "alpha-1.0.dist-info").rename(clone.site / "~lpha-1.0.dist-info")
    (clone.site / "alpha").rename(clone.site / "~lpha")


def _no_torch(clone: Clone) -> None:
    shutil.rmtree(clone.site / "torch")


def _no_pip(clone: Clone) -> None:
    shutil.rmtree(clone.site / "pip")


def _no_stamp(clone: Clone) -> None:
    (clone.environment.venv / "set-up.json").unlink()


def _half_a_stamp(clone: Clone) -> None:
    (clone.environment.venv / "set-up.json").write_text('{"groups": {"pro', "utf-8")


@pytest.mark.parametrize(
    "damage",
    [
        _no_python,
        _no_module,
        _cut_library,
        _killed_while_installing,
        _killed_while_removing,
        _no_torch,
        _no_pip,
        _no_stamp,
        _half_a_stamp,
    ],
    ids=lambda function: function.__name__.strip("_"),
)
def test_a_broken_environment_is_noticed_and_mended(
    clone: Clone, damage: Callable[[Clone], None]
) -> None:
    damage(clone)
    assert not clone.environment.ready(PRODUCT)
    python = clone.prepare()
    assert clone.environment.ready(PRODUCT)
    code = "import alpha, beta, torch.version; print(alpha.x, torch.version.__version__)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1 9.1\n", done.stderr
    assert inventory.damaged(clone.site) == []
    assert list(clone.site.glob("~*")) == []


def test_a_new_lock_is_followed(clone: Clone) -> None:
    clone.lock("product", "alpha==1.1", "beta==2.0")
    assert not clone.environment.ready(PRODUCT)
    clone.prepare()
    assert inventory.installed(clone.site)["alpha"] == "1.1"


def test_where_its_index_answers_uv_chooses_torch(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This uv writes down what it was asked and fails; pip takes over."""
    said = tmp_path / "said"
    code = f"import sys, pathlib\npathlib.Path({str(said)!r}).write_text(' '.join(sys.argv[1:]))\n"
    use_index(monkeypatch, tmp_path)
    for file in clone.index.glob("*.whl"):
        shutil.copy(file, tmp_path)
    uv = {"uv/__init__.py": b"", "uv/__main__.py": f"{code}sys.exit(2)".encode()}
    wheel(tmp_path, "uv", torch_build.UV.partition("==")[2], uv)
    shutil.rmtree(clone.site / "torch")
    monkeypatch.setattr(torch_build, "index_reachable", lambda: True)
    clone.prepare()
    assert said.read_text("utf-8").startswith("pip install --python ")
    assert said.read_text("utf-8").endswith(" --torch-backend=cpu torch==9.1")
    assert inventory.installed(clone.site)["torch"] == "9.1"


def test_without_network_a_sentence_says_so(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    (clone.site / "alpha" / "__init__.py").unlink()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(SetUpError, match=r"The network can't be reached.*\nConnect"):
        clone.prepare()
    assert not clone.environment.ready(PRODUCT)
