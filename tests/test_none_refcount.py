"""PySide6 6.12.0 gave up one reference to None a call, and the program aborted; never again."""

from __future__ import annotations

import subprocess
import sys

CALLS = 50
PROGRAM = f"""
import sys
from PySide6.QtWidgets import QApplication, QWidget

app = QApplication([])
widget = QWidget()
widget.update()
before = sys.getrefcount(None)
for _ in range({CALLS}):
    widget.update()
print(sys.getrefcount(None) - before)
"""


def test_calls_that_return_none_keep_its_references() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > -CALLS // 2
