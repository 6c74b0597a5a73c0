"""Library: the adapters, and what can be done with them."""

from studio.ui.pages.library.page import LibraryPage

__all__ = ["LibraryPage"]
