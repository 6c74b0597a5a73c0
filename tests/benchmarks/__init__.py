"""Measurements. Each prints a ratio or a distribution from one run; none is a test."""
