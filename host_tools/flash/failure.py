"""Failure: why a board was not flashed, by name, with what to do next.

Owns the names, which are what the ledger counts by, and the remedies. Never holds a key.
"""

from host_tools.errors import CommandError

# what went wrong -> what to do next; the names are kept in ledgers: add, never rename
REMEDIES = {
    # before anything is written
    "port-absent": "check the cable, and the name of the port",
    "port-busy": "end what has the port open, or take another port",
    "port-lost": "plug it in again and run the same command: it goes on where it was",
    "no-answer": "check cable and power; hold BOOT, press RESET, and run the command again",
    "wrong-chip": "take the board out of this batch, or name the batch of its kind",
    "flash-too-small": "take the board out of this batch, or plan it for boards with less flash",
    "flash-unknown": "check the flash chip's connections, then run the command again",
    "secured": "its eFuses allow no plain flashing: use a board without them",
    "other-identity": "find out whose board it is; --replace-identity overwrites it",
    "batch-used-up": "plan another batch: `keystead batch create`",
    "other-key": "is this the batch's group key? --replace-identity takes a new one",
    "twin-mac": "a MAC is one board's: find out which of the two is the copy, take that one away",
    "values-absent": "give its row by --mfg-config and --mfg-values",
    "board-swapped": "leave the board on its port until it is done; run the command again",
    # while it is written
    "write-failed": "run the command again; if it comes back, the flash or the line is bad",
    "read-failed": "run the command again; if it comes back, the flash or the line is bad",
    "differs": "run the command again; if it comes back, the flash is failing: scrap the board",
    # while it boots
    "boot-silent": "check the power supply, then run the command again",
    "boot-failed": "run the command again; if it comes back, the console's line says why",
    "brown-out": "the supply is too weak: use a powered hub or a shorter cable",
    "download-mode": "release the BOOT button (IO0 is held low), then run the command again",
    "wrong-firmware": "something else than what was written runs: run the command again",
    "record-failed": "run the command again; if it comes back, scrap the board",
    # while it proves who it is
    "proof-absent": "run the command again; if it comes back, see that app.py lets Ctrl-C end it",
    "proof-wrong": "keep the board apart: it does not hold the key that was derived for it",
    "not-registered": "look at the network and at DPS: docs/failures.md; then run it again",
    "app-broken": "mend app.py, or let it bear what the station does not have; then run it again",
    # at any time
    "worker-died": "run the command again; if it comes back, send us what was printed",
    "bug": "a fault in Keystead: run the command again; if it comes back, tell us the name",
    "interrupted": "run the same command again: it goes on where it was",
    "ledger": "mend the ledger first: no board is good that is not in it",
    "keys": "see to the key source, then run the command again",
}


class FlashFailure(CommandError):
    """A board was not flashed.

    reason: a name in REMEDIES. detail: what was seen, in a few words, never a key. step: of
    steps.STEPS, "" while it is not known; steps.py fills it in.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{detail}: {REMEDIES[reason]}")
        self.reason = reason
        self.detail = detail
        self.step = ""

    @classmethod
    def unforeseen(cls, error: Exception) -> "FlashFailure":
        """Return the failure for what nobody thought of; its words may hold a key and are left."""
        return cls("bug", f"{type(error).__name__} came up")

    def unrecorded(self, refusal: CommandError) -> "FlashFailure":
        """Return this failure with why the ledger does not have it."""
        more = FlashFailure(
            self.reason, f"{self.detail}; and the ledger does not have it: {refusal}"
        )
        more.step = self.step
        return more

    def __reduce__(self) -> tuple[type["FlashFailure"], tuple[str, str]]:
        return FlashFailure, (self.reason, self.detail)
