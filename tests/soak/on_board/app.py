"""The application of a soak: a numbered message every five minutes, its heap every hour."""

import gc


def run(device):
    """Send for ever."""
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
