"""The trace: each connection's packets as a time line to read, without a secret in it."""
