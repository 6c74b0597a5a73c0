"""Markdown as a model writes it: shown as it grows, and nothing in it is ever loaded or opened."""

from studio.ui.widgets.markdown.view import MarkdownView

__all__ = ["MarkdownView"]
