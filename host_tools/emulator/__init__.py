"""The cloud on the bench: DPS and IoT Hub on one TLS listener.

One noun per file. Bytes in, bytes out: `listener` is the only file with sockets, time and chance
are arguments everywhere else. Start at `cloud`, which puts the parts together.

    framing, fields, connect, subscribe, packets
                         MQTT 3.1.1: a stream of bytes to packets and back, for either end
    session              one MQTT connection: who is it for, PUBACK before reply, keep-alive
    access, enrollment   SAS tokens checked; who may register, and with which keys
    dps, hub             the two services, fed with CONNECTs
    peer, *_peer, twin   one device at a service; what its hub knows of it
    operations, dps_bodies
                         registrations under way, and the JSON that DPS answers with
    store, records       what survives a restart
    certificates         the private CA, and the names that devices dial
    config, config_file, toml_table
                         what goes in
    events, report       what comes out
    tls, listener        TLS of one connection without a socket; the sockets
"""
