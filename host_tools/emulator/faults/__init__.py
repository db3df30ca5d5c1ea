"""Faults on demand: what may go wrong, when, and for whom."""
