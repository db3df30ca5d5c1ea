"""A fleet of devices in one process, to see what a cloud takes.

plan           what every device of a fleet does, and who they are
conversation   one MQTT connection as a device leads it, without a socket
visit, stay    the two a device has: at DPS, and at its hub
tls            the client's end of TLS, without a socket
turns          which of thousands of hand-shakes goes on next
line           asyncio's rim: a conversation on a TCP connection
blocking_line  the same with a blocking socket, for gevent's green ones
fleet          many devices: boot, talk, stay, leave
results        what became of each, added up
report         the words and the progress bar
locustfile     one Locust user is one device: a fleet from many machines
"""
