"""ussl, which umqtt.simple 1.3.4 imports and MicroPython no longer has: verified TLS with SNI."""

import tls


def wrap_socket(raw, ca, server_hostname):
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    with open(ca, "rb") as file:
        context.load_verify_locations(file.read())
    return context.wrap_socket(raw, server_hostname=server_hostname)
