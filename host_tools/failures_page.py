"""docs/failures.md, made from the catalogue that the firmware's words are made from.

Run as `python -m host_tools.failures_page > docs/failures.md`.
"""

from keystead.catalogue import CATALOGUE

_STEPS = {
    1: "The program", 2: "The factory record", 3: "The network", 4: "The clock", 5: "TLS",
    6: "DPS", 7: "MQTT", 8: "The hub", 9: "The application",
}  # fmt: skip

_HEAD = """# Failures

The board says why it is not connected. Each reason has a number; the first digit is the step that
failed, so 6 is always DPS.

## Read the LED

While the board waits for its next attempt the LED blinks the number: the tens, a pause of one
second, the units, a pause of two seconds, and again. It is dark while all is well. This is 62:

```text
##...##...##...##...##...##............##...##.......................##...##...
`------------ 6 ----------'            `- 2 -'     each # or . is a tenth of a second
```

## Where else it is said

- **Serial console**: `FAILURE 62 dps-unauthorized (401): ...` with what happened, what to do and
  when the next attempt is. A number in brackets is the service's or the chip's own code.
- **`import status`** at the REPL, after Ctrl-C: the last failure with its words, and all else
  about the board.
- **The log**: its last lines outlive a reset. `status` shows them, and so does the direct method
  `keystead*log` once the device is connected.
- **The twin**: `lastFailure` of the reported component `keystead`, as soon as the device is
  connected again: number, reason, text and time.
- **Flash**: the number, in NVS, namespace `keystead`, key `failure`; 0 after ten good minutes.

This page is made from `firmware/keystead/catalogue.py` by `make docs`.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD]
    step = 0
    for number, name, happened, remedy in CATALOGUE:
        if number // 10 != step:
            step = number // 10
            parts.append(f"\n## {step}: {_STEPS[step]}\n")
            parts.append(
                "| Number | Name | What happened | What to do |\n| --- | --- | --- | --- |"
            )
        parts.append(f"| {number} | `{name}` | {happened} | {remedy} |")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(page(), end="")
