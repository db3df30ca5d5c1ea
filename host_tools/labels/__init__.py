"""Labels: what a packed board says of itself, and how it is drawn.

Owns the text in the code that scanners read (code.py), where things stand on a label (design.py)
and on a sheet (sheet.py), and the forms they come in (forms.py), each drawn by svg.py, pdf.py or
zpl.py. Doesn't own the ledger, and never sees a key: a label has a key's fingerprint.
"""
