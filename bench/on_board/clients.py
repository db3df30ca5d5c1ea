"""The two clients that are compared, connected: Keystead's, and the stock umqtt.simple.

at: {"client": "ours" or "stock", "port", "ca": file, "name": in the certificate,
     "client_id", "user", "password"}
"""

_KEEP_ALIVE = 240


def connect(at, wanted="t"):
    """Return a client that has its CONNACK and a SUBACK for wanted."""
    return (_ours if at["client"] == "ours" else _stock)(at, wanted)


def _ours(at, wanted):
    import tls

    from rim.opening import opened

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    with open(at["ca"], "rb") as file:
        context.load_verify_locations(file.read())
    endpoint = "%s:%d" % (at["name"], at["port"])
    return opened(endpoint, context, at["client_id"], at["user"], at["password"], _KEEP_ALIVE,
                  _ignore, lambda: None, "hub", (wanted,))  # fmt: skip


def _stock(at, wanted):
    from umqtt.simple import MQTTClient

    tls_settings = {"ca": at["ca"], "server_hostname": at["name"]}
    client = MQTTClient(at["client_id"], "127.0.0.1", at["port"], at["user"], at["password"],
                        _KEEP_ALIVE, ssl=True, ssl_params=tls_settings)  # fmt: skip
    client.set_callback(_ignore)
    client.connect()
    client.subscribe(wanted.encode())
    return client


def _ignore(topic, payload):
    pass
