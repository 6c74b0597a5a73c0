"""A model and its adapters for other programs of this machine."""

from studio.ui.pages.serving.dialog import ServingDialog

__all__ = ["ServingDialog"]
