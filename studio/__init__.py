"""Finetune Studio: your own version of an open model, by pointing and clicking."""

__version__ = "0.1.0"
