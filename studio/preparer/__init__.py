"""Reads datasets, renders templates, counts tokens, talks to the hub. Neither Qt nor torch."""
