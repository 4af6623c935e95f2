"""Measurements, each on embedded servers of its own; docs/performance.md keeps the figures."""
