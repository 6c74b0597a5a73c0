"""Export from the library: what as, how it goes on, how it was judged."""

from studio.ui.pages.library.export.buttons import Exports

__all__ = ["Exports"]
