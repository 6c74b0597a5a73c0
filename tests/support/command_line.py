"""The command line as people and scripts call it: a process, its two streams, its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from studio.library.folders import Home

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 900


@dataclass(frozen=True)
class Said:
    """How a call ended; with --json every line of standard output is one JSON object."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def result(self) -> Any:
        assert self.out, self.err
        assert set(self.lines[-1]) == {"result"}, self.lines[-1]
        return self.lines[-1]["result"]

    @property
    def error(self) -> dict[str, Any]:
        assert self.out, self.err
        error: dict[str, Any] = self.lines[-1]["error"]
        assert set(error) == {"title", "text", "fix", "problems"}
        assert error["title"]
        assert error["text"].endswith((".", ")", "”"))
        assert "Traceback" not in self.err
        return error

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == name]


def command(home: Home, *arguments: object) -> list[str]:
    words = [str(argument) for argument in arguments]
    return [sys.executable, "-m", "studio", *words, "--home", str(home.root)]


def call(home: Home, *arguments: object, stdin: str = "", **environment: str) -> Said:
    """Run a verb to its end."""
    done = subprocess.run(
        command(home, *arguments),
        cwd=ROOT,
        input=stdin,
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def ask(home: Home, *arguments: object) -> Said:
    """Run a verb with --json; all it says is JSON."""
    said = call(home, *arguments, "--json")
    assert said.lines, said.err
    return said


def start(home: Home, *arguments: object) -> subprocess.Popen[str]:
    """Start a verb with --json and don't wait."""
    return subprocess.Popen(
        command(home, *arguments, "--json"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def until(process: subprocess.Popen[str], event: str) -> list[str]:
    """Read its lines up to the first such event."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if json.loads(line).get("event") == event:
            return lines
    rest = process.communicate(timeout=SECONDS)[1]
    raise AssertionError(f"no {event} among {lines[-3:]}: {rest}")


def finish(process: subprocess.Popen[str], lines: list[str]) -> Said:
    """The rest of what it says; not by communicate(), which passes over lines already buffered."""
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        out, err = process.stdout.read(), process.stderr.read()
    return Said(process.returncode, "".join(lines) + out, err)


def write_rows(path: Path, count: int) -> Path:
    chats = [
        {
            "messages": [
                {"role": "user", "content": f"What comes after {n}?"},
                {"role": "assistant", "content": f"After {n} comes {n + 1}."},
            ]
        }
        for n in range(count)
    ]
    path.write_text("\n".join(map(json.dumps, chats)) + "\n", encoding="utf-8")
    return path


def write_recipe(path: Path, model: Path, rows: Path, name: str = "", **training: object) -> Path:
    whole = {
        "model": str(model),
        "dataset": str(rows),
        "method": "lora",
        "lora": {"rank": 4, "alpha": 8},
        "data": {"max_length": 64},
        "training": {"batch_size": 8, "dtype": "float32", "learning_rate": 1e-3} | training,
    }
    path.write_text(yaml.safe_dump(whole | ({"name": name} if name else {})), encoding="utf-8")
    return path
