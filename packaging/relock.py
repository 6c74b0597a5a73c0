"""Write packaging/lock/ anew from pyproject.toml: `python packaging/relock.py [--upgrade]`.

Needs uv. Without --upgrade every pin stays that still satisfies the ranges. The locks hold for
Linux, macOS and Windows; torch stands apart because its build is chosen for the card.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "packaging" / "lock"
HEADER = "# Written by packaging/relock.py from pyproject.toml. torch is pinned in torch.txt.\n"
# What torch's own wheel brings along where it is built for a card: never ours to pin.
COMES_WITH_TORCH = re.compile(r"(nvidia|cuda)-(?!ml-py)|triton|pytorch-triton")


def main() -> None:
    """Resolve the product, then the product with its test tools, and write what each adds."""
    keep = "--upgrade" not in sys.argv
    pins = [] if not keep else [p for name in ("product", "test") for p in _pins(name)]
    product = _resolve(pins, [])
    test = _resolve([*pins, *product], ["--extra", "test"])
    _write("product", product)
    _write("test", [line for line in test if line not in product])


def _pins(name: str) -> list[str]:
    path = LOCKS / f"{name}.txt"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _resolve(constraints: list[str], options: list[str]) -> list[str]:
    torch = (LOCKS / "torch.txt").read_text("utf-8")
    build_tools = "editables\nhatchling\n"
    command = ["uv", "pip", "compile", str(ROOT / "pyproject.toml"), "-", "--universal"]
    command += ["--python-version", "3.11", "--no-header", "--no-annotate", "-q", *options]
    scratch = LOCKS / "constraints.tmp"
    scratch.write_text("\n".join([torch, *constraints]), "utf-8")
    try:
        done = subprocess.run(
            [*command, "-c", str(scratch)],
            input=build_tools,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        scratch.unlink()
    if done.returncode:
        sys.exit(done.stderr)
    return [line for line in done.stdout.splitlines() if _ours(line)]


def _ours(line: str) -> bool:
    return not (
        line.startswith("torch==") or COMES_WITH_TORCH.match(line) or "== 'emscripten'" in line
    )


def _write(name: str, lines: list[str]) -> None:
    (LOCKS / f"{name}.txt").write_text(HEADER + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
