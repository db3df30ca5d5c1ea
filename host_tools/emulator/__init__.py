"""The cloud on the bench: DPS and IoT Hub for devices and for programs, and a page to look at it.

A folder is a role, a file one noun. Text and bytes in, text and bytes out; time and chance are
arguments. Only serve, rest and portal know asyncio and sockets. Start at `cloud`, which puts the
parts together.

    mqtt, amqp           the protocols, from bytes to meaning and back, without a socket
    dps, hub             the two services: what they know, and whom they answer what
    store                what survives a restart: SQLite, a table each
    faults               what goes wrong on demand: rules, scenarios, and where they strike
    trace                what passed on each connection, in words without a secret
    serve                ports, TLS, certificates, and the pace of connections
    rest                 the services' REST APIs, and our own control interface
    portal               the cloud as pages

    access, policies, key_pair, etags, host_names, strict_json, timestamps, records, errors
                         what both services have in common
    events, report, outlet, styles
                         what comes out, for people and for scripts
    config, config_file, config_enrollments, toml_table
                         what goes in
    clock, names         the time and the addresses that boards ask for (NTP, DNS)
"""
