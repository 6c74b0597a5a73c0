"""Where the studio writes, read from its source, so that no new place goes untried."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_OURS = {"write_whole", "whole_folder", "add_folder", "append_line", "remove_folder"}
_METHODS = {"write_text", "write_bytes", "copyfile", "copytree", "copy2", "move", "save_pretrained"}
_SAVERS = {"save_file", "torch.save"}
_ONE_PLACE = {"replace", "rename"}
_WRITING = set("wax+")


def writers() -> set[tuple[str, str]]:
    """Each function that writes, renames or replaces something on disk: file and name."""
    found = set()
    for path in sorted((ROOT / "studio").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        for name, node in _functions(tree, ""):
            if any(_writes(call) for call in _calls(node)):
                found.add((path.relative_to(ROOT).as_posix(), name))
    return found


def _functions(node: ast.AST, within: str) -> Iterator[tuple[str, ast.AST]]:
    """All functions by their qualified names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield within + child.name, child
            yield from _functions(child, f"{within}{child.name}.<locals>.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{within}{child.name}.")
        elif not isinstance(child, ast.Lambda):
            yield from _functions(child, within)


def _calls(function: ast.AST) -> Iterator[ast.Call]:
    """The calls in a function, without those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.FunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _calls(child)


def _writes(call: ast.Call) -> bool:
    spelled = ast.unparse(call.func)
    name = spelled.rsplit(".", 1)[-1]
    if name in _OURS | _METHODS or spelled in _SAVERS or name in _SAVERS:
        return True
    if name in _ONE_PLACE:  # of a text takes two, of a struct takes names
        return spelled != name and len(call.args) == 1 and not call.keywords
    return name in ("open", "fdopen") and _opens_to_write(call)


def _opens_to_write(call: ast.Call) -> bool:
    given = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
    modes = [each.value for each in given if isinstance(each, ast.Constant)]
    return any(isinstance(m, str) and len(m) <= 3 and bool(_WRITING & set(m)) for m in modes)
