"""docs/failures.md, made from the catalogue that the firmware itself carries.

Run as `python -m host_tools.failures_page > docs/failures.md`.
"""

from keystead.catalogue import CATALOGUE

_STEPS = {
    1: "The program", 2: "The factory record", 3: "The network", 4: "The clock", 5: "TLS",
    6: "DPS", 7: "MQTT", 8: "The hub", 9: "The application",
}  # fmt: skip

_HEAD = """# Failures

The board says why. The number is on the serial console (`FAILURE 62 dps-unauthorized`), it is
stored in NVS (namespace `keystead`, key `failure`), and the LED blinks it while the board waits
for its next attempt: the tens, a short pause, the units, a long pause.

A number in brackets behind the name is the service's or the chip's own code.

This page is made from `firmware/keystead/catalogue.py` by `make docs`.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD]
    step = 0
    for number, name, happened, remedy in CATALOGUE:
        if number // 10 != step:
            step = number // 10
            parts.append(f"\n## {_STEPS[step]}\n")
            parts.append(
                "| Number | Name | What happened | What to do |\n| --- | --- | --- | --- |"
            )
        parts.append(f"| {number} | `{name}` | {happened} | {remedy} |")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(page(), end="")
