"""Imports point one way, and each process loads only what it is for."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE_MAY_IMPORT = set(sys.stdlib_module_names) | {"msgspec", "yaml", "studio"}
READS_DISK = {"fileinput", "glob", "io", "os", "shutil", "socket", "subprocess", "tempfile"}
HEAVY = {"torch", "transformers", "datasets", "peft", "accelerate", "bitsandbytes", "pandas"}
QT = {"PySide6", "pyqtgraph"}
HUB = {"huggingface_hub", "tokenizers", "pyarrow", "jinja2"}

IMPORT_ALL = """
import importlib, json, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(found.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
IMPORT_ONE = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_import_contracts_hold() -> None:
    program = "from importlinter.cli import lint_imports_command as check; check()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("package", "never"),
    [
        ("studio.core", HEAVY | QT | HUB | {"numpy", "psutil"}),
        ("studio.library", HEAVY | QT | HUB),
        ("studio.client", HEAVY | QT | HUB),
        ("studio.cli", HEAVY | QT | HUB),
        ("studio.keeper", HEAVY | QT | HUB),
        ("studio.preparer", HEAVY | QT),
        ("studio.ui", HEAVY | HUB),
    ],
)
def test_no_module_loads_what_its_process_is_not_for(package: str, never: set[str]) -> None:
    assert _loaded(IMPORT_ALL, package) & never == set()


def test_the_window_opens_without_anything_heavy() -> None:
    """numpy and pyqtgraph come after the first paint: they would cost more than Qt itself."""
    loaded = _loaded(IMPORT_ONE, "studio.ui.app")
    assert loaded & (HEAVY | HUB | {"numpy", "pyqtgraph", "pynvml"}) == set()


def test_the_entry_loads_nothing_before_it_has_chosen() -> None:
    loaded = _loaded(IMPORT_ONE, "studio.__main__")
    assert loaded & (HEAVY | QT | HUB | {"numpy", "msgspec", "yaml"}) == set()


def test_core_imports_little_and_reads_no_disk() -> None:
    wrong = [
        f"{file.name}:{line}: {name}"
        for file in sorted((ROOT / "studio" / "core").glob("*.py"))
        for line, name in _imports(file)
        if (top := name.partition(".")[0]) not in CORE_MAY_IMPORT
        or top in READS_DISK
        or (top == "studio" and not name.startswith("studio.core"))
    ]
    assert wrong == []


def _loaded(program: str, name: str) -> set[str]:
    command = [sys.executable, "-c", program, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def _imports(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""
