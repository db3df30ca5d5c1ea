"""Packing: whether a board may leave, by its label and the ledger, and that it was asked.

Owns the rule. Doesn't own the label's text (code.py) nor the ledger.
"""

from dataclasses import dataclass

from host_tools.labels.boards import SHORT
from host_tools.labels.code import Label, NotALabel, read
from host_tools.ledger import Event, Identity, Ledger, LedgerError, UnknownBoard


@dataclass(frozen=True)
class Answer:
    """What became of a scan; reason: why the board may not leave, "" if it may."""

    label: Label | None
    reason: str
    serial: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether the board may leave."""
        return not self.reason

    def text(self) -> str:
        """Return it as a line for people."""
        if self.label is None:
            return self.reason
        who = f"{self.label.registration_id}  {self.label.batch}"
        return f"{who}  {self.reason}" if self.reason else f"{who}  serial {self.serial}"

    def facts(self) -> dict[str, object]:
        """Return it in JSON's names."""
        return {
            "passed": self.passed,
            "registrationId": self.label.registration_id if self.label else None,
            "batch": self.label.batch if self.label else None,
            "serial": self.serial or None,
            "reason": self.reason,
        }


class Packing:
    """A packing place; batch: the only one that may leave here, None for any."""

    def __init__(self, ledger: Ledger, batch: str | None = None, again: bool = False) -> None:
        """again: let boards pass that passed before."""
        self._ledger = ledger
        self._batch = batch
        self._again = again

    def check(self, text: str) -> Answer:
        """Answer a scan, and record it if the ledger knows the board.

        What can not be recorded may not leave.
        """
        try:
            label = read(text)
        except NotALabel as error:
            return Answer(None, str(error))
        try:
            return self._check(label)
        except UnknownBoard:
            return Answer(label, "the ledger does not know this board: is it the right ledger?")
        except LedgerError as error:
            return Answer(label, f"the ledger does not answer: {error}")

    def _check(self, label: Label) -> Answer:
        identity = self._ledger.identity(label.registration_id)
        reason = self._reason(label, identity)
        event = self._record(identity, reason)
        if not reason and not self._again:
            first = self._first_passed(identity)
            if first is not None and first.number != event.number:  # scanned twice at once
                reason = _before(first)
                self._record(identity, reason)
        return Answer(label, reason, identity.serial)

    def _record(self, identity: Identity, reason: str) -> Event:
        facts: dict[str, object] = {"passed": not reason, "attempt": identity.attempt}
        if reason:
            facts["reason"] = reason
        return self._ledger.append(identity.registration_id, "checked", **facts)

    def _reason(self, label: Label, identity: Identity) -> str:
        """Return why the board may not leave, "" if it may."""
        if label.registration_id != identity.registration_id:
            return f"the ledger writes it {identity.registration_id}: print the label anew"
        if label.batch != identity.batch:
            return f"the ledger has it in batch {identity.batch}: print the label anew"
        if self._batch and identity.batch != self._batch:
            return f"it is not of batch {self._batch}, which is packed here"
        if identity.state != "good":
            because = f" ({identity.reason})" if identity.reason else ""
            return f"it is {identity.state}{because}, not good: flash it again"
        if label.fingerprint != (identity.fingerprint or "")[:SHORT]:
            return "its key is not the one on the label: print the label anew"
        first = None if self._again else self._first_passed(identity)
        return _before(first) if first else ""

    def _first_passed(self, identity: Identity) -> Event | None:
        """Return when it was let pass since it was last made, None if it was not."""
        for event in self._ledger.events(identity.registration_id):
            attempt = event.facts.get("attempt", identity.attempt)
            passed = event.kind == "checked" and event.facts.get("passed") is True
            if passed and attempt == identity.attempt:
                return event
        return None


def _before(event: Event) -> str:
    at = event.at[:16].replace("T", " ")
    where = f"it passed at {at} UTC at {event.station}"
    return f"{where}: is there a second label? --again lets it pass"
