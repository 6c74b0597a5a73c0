"""`python -m studio preparer --home DIR`."""

from __future__ import annotations

from studio.preparer.serve import main

__all__ = ["main"]
