"""AMQP 1.0 without a socket: as much as a service client needs to send messages."""
