"""The faults in force: what goes wrong on purpose, and how to end it."""

from host_tools.emulator.faults.rule import Rule
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, url
from host_tools.emulator.portal.forms import Form, FormError
from host_tools.errors import CommandError

_HERE = url("/faults")


def _facts(desk: Desk, query: Query) -> Facts:
    return {"rules": desk.cloud.faults.list()}


def _add(desk: Desk, query: Query, form: Form) -> Outcome:
    sentence = form.needed("sentence", "The sentence")
    try:
        rule = Rule.from_json(sentence)
    except CommandError as error:
        raise FormError("sentence", str(error)) from None
    desk.cloud.faults.add(rule, desk.clock())
    return Outcome(_HERE, f"In force: {rule.sentence}.")


def _clear(desk: Desk, query: Query, form: Form) -> Outcome:
    number = form.number("rule", 0, 999_999_999, 0)
    if number:
        found = desk.cloud.faults.remove(number)
        return Outcome(_HERE, f"Fault {number} is {'cleared' if found else 'gone already'}.")
    desk.cloud.faults.clear()
    return Outcome(_HERE, "All faults are cleared.")


PAGE = Page("/faults", "faults.html", _facts, actions={"add": _add, "clear": _clear})
