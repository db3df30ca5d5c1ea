"""Whose files are to be made: one board that arguments describe, or the boards of a batch.

Owns nothing: names come from the ledger or the arguments, device keys from a key source, values of
a board's own from whoever has read them. Device keys are held for one board at a time.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence

from host_tools import identity
from host_tools.batch import Batch
from host_tools.device_keys import DeviceKeys
from host_tools.errors import CommandError
from host_tools.images.device_files import Owner
from host_tools.keys import fingerprint
from host_tools.ledger import Identity, Ledger
from host_tools.nvs import Entry
from keystead.failure import Failure
from keystead.record import FactoryRecord
from keystead.registration_id import InvalidRegistrationID

Values = Callable[[Identity], Sequence[Entry]]  # what a board's NVS has beside its record


def of_arguments(args: argparse.Namespace) -> Owner:
    """Return the one board that the arguments of `keystead record` describe."""
    if args.id_scope is None:
        raise CommandError("a board's own part needs --id-scope")
    return Owner(args.serial or "", identity.factory_record(args))


def of_batch(
    batch: Batch, named: Iterable[Identity], keys: DeviceKeys, values: Values
) -> Iterator[Owner]:
    """Give the boards of a batch, each with the keys derived for it. Raises CommandError."""
    for one in named:
        name = one.registration_id
        pair = keys.device_keys(name)
        try:
            record = FactoryRecord(one.mac, batch.id_scope, name, *pair, batch.endpoint)
        except Failure as error:
            raise CommandError(f"{name}: {error}") from None
        yield Owner(one.serial, record, values(one))


def refuse_other_key(book: Ledger, batch: Batch, keys: DeviceKeys) -> None:
    """Refuse keys that are not those which the boards of a batch have got; CommandError."""
    for one in book.identities(batch.name):
        if one.fingerprint is None or one.state == "scrapped":
            continue
        derived = fingerprint(keys.primary(one.registration_id))
        if derived != one.fingerprint:
            raise CommandError(
                f"the key derived for {one.registration_id} is not the one of its last run"
                f" ({derived[:16]}, the ledger has {one.fingerprint[:16]}): is this the batch's"
                " group key? A new one is given by `keystead flash --replace-identity`"
            )


def named(book: Ledger, batch: Batch) -> Iterator[Identity]:
    """Give each board of a batch whose MAC is known, as the ledger has it or is to have it.

    Those that have an identity come first, but for scrapped ones; then those whose MAC the plan
    names, which no other board can take. Raises CommandError.
    """
    taken = set()
    for one in book.identities(batch.name):
        taken.add(one.serial)
        if one.state != "scrapped":
            yield one
    for unit in book.units(batch.name):
        if unit.mac is not None and unit.serial not in taken:
            try:
                name = batch.registration_id(unit, unit.mac)
            except InvalidRegistrationID as error:
                raise CommandError(str(error)) from None
            yield Identity(name, batch.name, unit.serial, unit.mac, None, "planned", "", "")
