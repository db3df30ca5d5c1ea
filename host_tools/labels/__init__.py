"""Labels: what a packed board says of itself, and how it is drawn.

Owns the text in the code that scanners read (code.py), where things stand on a label (design.py)
and on a sheet (sheet.py), and the ways to draw them (svg.py, pdf.py, zpl.py). Doesn't own the
ledger, and never sees a key: a label has a key's fingerprint.
"""
