"""The rim: sockets, clocks, TLS. Nothing else of the emulator waits or listens."""
