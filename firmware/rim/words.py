"""The words for a failure, read from failures.txt when one is to be told.

Owns that file's layout; host_tools.firmware makes it from keystead.catalogue, whose text would
take 8 KB of heap. A line is NUMBER|REASON|WHAT HAPPENED|WHAT TO DO.
"""


def entry(key: str) -> tuple:
    """Return (number, reason, what happened, what to do) for a reason or a number as text."""
    try:
        with open("failures.txt") as file:
            for line in file:
                if key in line:
                    number, reason, happened, remedy = line.rstrip().split("|")
                    if key in (number, reason):
                        return int(number), reason, happened, remedy
    except (OSError, ValueError):  # it is not there, or not ours
        pass
    return 11, key, "failures.txt does not say", "Install the firmware again, with that file."
