"""AMQP 1.0 without a socket: as much as a service client needs to send messages.

Clients send messages for devices and hear what became of them; devices speak MQTT here, and
telemetry is not read by AMQP. Bytes in, bytes out; start at `session`, which is one connection.

    values, decoding, encoding, kinds, composite
                         the type system: bytes to values and back, and lists with typed fields
    framing, sasl, performatives, messaging, message
                         what is said: headers and frames, what is in them, what they carry
    session, channel, links
                         a connection, its sessions, their links: what may be said when
    ends, nodes, cbs, devicebound, feedback
                         where links lead to
    door, hub_door, refusals
                         the hubs behind it all, and their errors
    errors               what goes wrong, and how far it reaches
"""
