"""A batch from its list to its labels: registration IDs, keys, NVS images, ledger rows, labels.

Each part is the command that a factory runs, in a process of its own; only the boards are not
there, so what the line writes into the ledger for each comes from histories.py.
"""

import base64
import csv
import math
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import command, histories
from bench.command import Ran
from bench.figures import Figure, Row, digits
from bench.workshop import Workshop
from host_tools.errors import CommandError

TITLE = "a batch, from its list to its labels"

_SIZES = (100, 1_000, 10_000)
_ROUNDS = 2  # of what is over soon; of each part the quicker counts
_SOON = 15.0  # seconds
_SEEN = 2  # times what a single board takes: below that growth is lost in noise
_NAME = "bench"
_BOARD = ("--board", "ESP32_GENERIC_C3")
_PARTS = {
    "plan": "list checked, IDs made, plan in the ledger",
    "images": "keys derived, NVS images, a file each",
    "histories": f"ledger rows, {histories.EVENTS} events a board",
    "labels": "labels, PDF",
    "verify": "ledger verified",
}
Parts = Mapping[str, Ran]


@dataclass(frozen=True)
class Batch:
    """A batch to be made in a folder of its own, with a group key that is thrown away."""

    folder: Path
    count: int
    environ: Mapping[str, str]

    @property
    def ledger(self) -> tuple[object, ...]:
        """Return the words that name its ledger."""
        return "--ledger", self.folder / "ledger.db"

    def parts(self) -> Parts:
        """Make it, once; return what each part took. Raises CommandError."""
        self.folder.mkdir()
        _write_list(self.folder / "boards.csv", self.count)
        found = {what: part(self) for what, part in _RUNS.items()}
        self._look()
        shutil.rmtree(self.folder)
        return found

    def verb(self, *words: object) -> Ran:
        """Run a verb of keystead upon its ledger."""
        return command.run("host_tools", [*words, *self.ledger], self.environ)

    def _look(self) -> None:
        """Refuse figures of a batch that was not made."""
        files = sum(1 for _ in (self.folder / "own").glob("*.nvs.bin"))
        labels = (self.folder / "labels.pdf").read_bytes()
        if files != self.count or not labels.startswith(b"%PDF-"):
            raise CommandError(f"a batch of {self.count} boards got {files} NVS images")


def _plan(batch: Batch) -> Ran:
    return batch.verb("batch", "create", _NAME, *_BOARD, "--id-scope", "0ne00002193",
                      "--csv", batch.folder / "boards.csv")  # fmt: skip


def _images(batch: Batch) -> Ran:
    return batch.verb("image", *_BOARD, "--batch", _NAME, "--stand-in", "--output",
                      batch.folder / "image", "--with-secrets", batch.folder / "own")  # fmt: skip


def _histories(batch: Batch) -> Ran:
    return command.run(histories.__name__, [batch.ledger[1], _NAME], batch.environ)


def _labels(batch: Batch) -> Ran:
    return batch.verb("label", "--batch", _NAME, "--output", batch.folder / "labels.pdf")


def _verify(batch: Batch) -> Ran:
    return batch.verb("ledger", "verify")


_RUNS: dict[str, Callable[[Batch], Ran]] = {
    "plan": _plan,
    "images": _images,
    "histories": _histories,
    "labels": _labels,
    "verify": _verify,
}


def rows(workshop: Workshop) -> list[Row]:
    """Make batches of growing size, and one of a single board: what every command costs once."""
    environ = {"KEYSTEAD_GROUP_KEY": base64.b64encode(secrets.token_bytes(64)).decode()}
    taken = {count: quickest(workshop.folder / "batch", count, environ) for count in (1, *_SIZES)}
    return [*_whole(taken), *_parts(taken)]


def quickest(folder: Path, count: int, environ: Mapping[str, str]) -> Parts:
    """Return what each part of a batch of this size takes."""
    rounds = [Batch(folder, count, environ).parts()]
    while len(rounds) < _ROUNDS and _seconds(rounds[0]) < _SOON:
        rounds.append(Batch(folder, count, environ).parts())
    return {what: min((one[what] for one in rounds), key=lambda ran: ran.seconds)
            for what in _RUNS}  # fmt: skip


def _seconds(parts: Parts) -> float:
    return sum(ran.seconds for ran in parts.values())


def _whole(taken: Mapping[int, Parts]) -> Iterator[Row]:
    for count in _SIZES:
        yield Row(f"{digits(count)} boards, all parts", Figure(_seconds(taken[count]), "s"),
                  note=_WHOLE)  # fmt: skip
    totals = {count: sum(ran.cpu for ran in parts.values()) for count, parts in taken.items()}
    yield Row("  growth of CPU, exponent", Figure(exponent(totals), ""), note=_GROWTH)


def _parts(taken: Mapping[int, Parts]) -> Iterator[Row]:
    most, fewer = _SIZES[-1], _SIZES[-2]
    for what, said in _PARTS.items():
        ran = {count: parts[what] for count, parts in taken.items()}
        note = _NOTES.get(what, "")
        yield Row(f"{digits(most)} boards: {said}", Figure(ran[most].seconds, "s"), note=note)
        cpu = {count: one.cpu for count, one in ran.items()}
        if cpu[most] > _SEEN * cpu[1]:
            yield Row("  growth of CPU, exponent", Figure(exponent(cpu), ""), note=_GROWTH)
        yield Row("  peak memory", Figure(ran[most].memory, "MiB"),
                  Figure(ran[fewer].memory, "MiB"), f"{digits(fewer)} boards")  # fmt: skip


def exponent(seconds: Mapping[int, float]) -> float:
    """Return how seconds grow with the count, from the last two sizes: 1 is in proportion.

    What a single board takes is subtracted: it is Python that starts.
    """
    once, (*_, fewer, most) = seconds[1], sorted(seconds)
    grown = [max(seconds[count] - once, 1e-3) for count in (fewer, most)]
    return math.log(grown[1] / grown[0]) / math.log(most / fewer)


def _write_list(file: Path, count: int) -> None:
    with open(file, "w", newline="", encoding="utf-8") as output:
        rows = csv.writer(output)
        rows.writerow(["serial", "mac"])
        for number in range(count):
            mac = bytes([0xA0, 0xB1, 0xC2]) + number.to_bytes(3, "big")
            rows.writerow([f"{number:06}", mac.hex(":")])


_WHOLE = (
    "the commands one after the other, each with its start: batch create, image --with-secrets,"
    " label, ledger verify, and between them what the line writes into the ledger; no board and no"
    f" line is in it. Below {_SOON:g} s: of each part the quicker of {_ROUNDS}"
)
_GROWTH = (
    f"from {digits(_SIZES[-2])} to {digits(_SIZES[-1])} boards, less what a single one takes;"
    " 1 is in proportion; CPU, as other programs don't make it longer"
)
_NOTES = {
    "histories": "each on disk before the next, as section ledger shows beside sqlite3 alone",
    "images": "written to disk, each readable by its owner alone; `keystead flash` writes none",
}
