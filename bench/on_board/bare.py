"""main.py of a board without Keystead: what it stands on, and the same application."""

# by name: a linter takes an import that nobody uses for a mistake; here it is the measurement
for _name in (
    "binascii", "collections", "errno", "gc", "hashlib", "json", "os", "struct", "sys", "tls",
    "select", "socket", "time", "esp32", "machine", "network", "umqtt.simple",
):  # fmt: skip
    __import__(_name)

__import__("app").run(None)
