"""The Mix page: several adapters of one base become one, heard before it is baked."""

from studio.ui.pages.mix.page import MixPage

__all__ = ["MixPage"]
