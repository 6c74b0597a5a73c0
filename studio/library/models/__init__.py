"""Models on this machine: what a folder holds, where models lie, which one a recipe means."""

from studio.library.models.facts import config_of, errors, inspect, usable
from studio.library.models.shelf import cache_folders, hub_folder, listing, resolve
from studio.library.models.starter import STARTER, Starter, starter, starter_path

__all__ = [
    "STARTER",
    "Starter",
    "cache_folders",
    "config_of",
    "errors",
    "hub_folder",
    "inspect",
    "listing",
    "resolve",
    "starter",
    "starter_path",
    "usable",
]
