"""Write README's map of the tree, one line a file: `python packaging/file_map.py`.

A module's line is the first of its docstring; the lines of other files are written by hand in
README.md and kept.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN, END = "<!-- files -->\n", "<!-- end of files -->\n"
LINE = re.compile(r"^- `([^`]+)` — (.+)$", re.MULTILINE)


def tracked() -> list[str]:
    """Every file that git follows or would, but for hidden ones and README itself."""
    list_files = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(list_files, cwd=ROOT, capture_output=True, text=True, check=True)
    names = {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}
    return sorted((n for n in names if not n.startswith(".") and n != README.name), key=_order)


def described(readme: str, files: Iterable[str]) -> str:
    """The map's text: the lines of the readme for what has no docstring, "" where none is."""
    by_hand = _by_hand(readme)
    parts = []
    for folder, names in groupby(files, lambda name: name.rpartition("/")[0]):
        about = _docstring(f"{folder}/__init__.py")
        heading = f"\n**{folder or 'at the top'}**{' — ' if about else ''}{about}\n"
        plain = [name for name in names if not name.endswith("/__init__.py")]
        parts.append("\n".join([heading, *(_line(name, by_hand) for name in plain)]))
    return "\n".join(parts) + "\n"


def current(readme: str) -> str:
    """The map as it stands in the readme."""
    return readme.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Write the map; name the files that still want a line by hand."""
    readme = README.read_text("utf-8")
    new = described(readme, tracked())
    before, _, rest = readme.partition(BEGIN)
    README.write_text(f"{before}{BEGIN}{new}{END}{rest.partition(END)[2]}", "utf-8")
    if bare := re.findall(r"^- `[^`]+` — $", new, re.MULTILINE):
        sys.exit("These want a line in README.md:\n" + "\n".join(bare))


def _order(name: str) -> tuple[bool, str, str]:
    folder, _, file = name.rpartition("/")
    return (not folder, folder, file)


def _by_hand(readme: str) -> dict[str, str]:
    found, folder = {}, ""
    for line in current(readme).splitlines():
        if line.startswith("**"):
            folder = line.split("**")[1].replace("at the top", "")
        elif match := LINE.match(line):
            found[f"{folder}/{match[1]}".lstrip("/")] = match[2]
    return found


def _line(name: str, by_hand: dict[str, str]) -> str:
    return f"- `{name.rpartition('/')[2]}` — {_docstring(name) or by_hand.get(name, '')}"


def _docstring(name: str) -> str:
    if not name.endswith(".py") or not (ROOT / name).exists():
        return ""
    text = ast.get_docstring(ast.parse((ROOT / name).read_text("utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())


if __name__ == "__main__":
    main()
