"""MQTT 3.1.1 without a socket: packets, framing, one session."""
