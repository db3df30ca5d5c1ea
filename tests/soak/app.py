"""The application of a soak: a numbered message every five minutes, its heap every hour.

It echoes what the cloud sends: messages on the console, methods and desired properties there.
"""

import gc


def run(device):
    """Send for ever."""
    device.on_message(lambda payload, properties: print("message", payload.decode()))
    device.on_method("echo", lambda payload: payload)
    device.on_desired(lambda patch, version: patch)
    life = _lives()
    number = 0
    while True:
        if number % 12 == 0:
            gc.collect()
            gc.collect()
            print("heap", gc.mem_alloc(), gc.mem_free())
        number += 1
        name = "%d-%d" % (life, number)
        print("sending", name)
        device.send({"name": name})
        print("acknowledged", name)
        device.wait(300)


def _lives():
    try:
        with open("lives") as file:
            lives = int(file.read())
    except OSError:
        lives = 0
    with open("lives", "w") as file:
        file.write(str(lives + 1))
    return lives + 1
