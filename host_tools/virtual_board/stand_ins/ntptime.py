"""ntptime: the bench's NTP server is the host's own clock, where the chip file has one."""

import chip
import world

host = "pool.ntp.org"


def settime():
    wrong_by = chip.NTP.pop(0) if len(chip.NTP) > 1 else chip.NTP[0]
    if wrong_by is None:
        raise OSError(116)  # ETIMEDOUT as lwIP numbers it
    chip.set_clock(world.unix_time() + wrong_by)
