"""Runs: the list of all, and one of them, live or from its log."""

from studio.ui.pages.runs.page import RunsPage

__all__ = ["RunsPage"]
