"""Beside every step: what the run would take, on which card, and how to make it fit."""

from studio.ui.pages.new_run.fit.panel import FitPanel

__all__ = ["FitPanel"]
