"""Export from the library: what as, how it goes on, how it was judged."""

from studio.ui.pages.library.export.buttons import ExportButtons

__all__ = ["ExportButtons"]
