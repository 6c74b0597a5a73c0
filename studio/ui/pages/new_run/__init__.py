"""The wizard that makes a recipe and starts its run."""

from studio.ui.pages.new_run.page import NewRunPage

__all__ = ["NewRunPage"]
