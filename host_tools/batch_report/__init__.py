"""The report of a batch: its numbers from the ledger (figures.py), its plots, one HTML page.

Owns what is counted and how it looks. Doesn't own the ledger; writes nothing to it.
"""
