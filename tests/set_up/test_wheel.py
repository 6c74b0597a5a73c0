"""What is installed without a clone has everything with it: code, fonts, sample, facts."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_wheel_carries_every_module_and_every_resource(tmp_path: Path) -> None:
    build = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run([sys.executable, *build], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("finetune_studio-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {p.relative_to(ROOT).as_posix() for p in (ROOT / "studio").rglob("*.py")}
    wanted |= {
        f"studio/_resources/{p.relative_to(ROOT / 'resources').as_posix()}"
        for p in (ROOT / "resources").rglob("*")
        if p.is_file()
    }
    assert sorted(wanted - inside) == []
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    find = "from studio.library.resources import path; print(path('fonts', 'OFL.txt').is_file())"
    done = subprocess.run(
        [sys.executable, "-c", find], cwd=tmp_path / "site", capture_output=True, text=True
    )
    assert done.stdout == "True\n", done.stderr
    assert "finetune-studio = studio.__main__:main" in _entry_points(wheel)


def _entry_points(wheel: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith("entry_points.txt"))
        return archive.read(name).decode()
