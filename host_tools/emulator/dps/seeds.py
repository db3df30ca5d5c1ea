"""Seeds: the config's enrollments, and what becomes of them when the cloud starts again.

Owns the rule: what is new or written otherwise than last time is applied; what is written as
before is left as REST or the portal made it, or deleted; what is no longer written goes. Keys
that the config leaves out are generated once.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace

from host_tools.emulator.dps import bodies, documents
from host_tools.emulator.dps.enrollment import Enrollment, EnrollmentGroup, fold
from host_tools.emulator.key_pair import generate_keys
from host_tools.emulator.store.enrollments import EnrollmentTable


def apply(
    seeds: Iterable[Enrollment],
    table: EnrollmentTable,
    random: Callable[[int], bytes],
    now: float,
) -> None:
    """Bring the kept enrollments in line with the config's; raise StoreError.

    To be run in a transaction.
    """
    before = table.seeds()
    written = {(one.kind, fold(one.name)): one for one in seeds}
    for (kind, name), one in written.items():
        digest = _digest(one)
        if before.get((kind, name)) != digest:
            _sow(one, table, random, now)
            table.put_seed(kind, name, digest)
    for kind, name in before.keys() - written.keys():
        if table.is_seeded(kind, name):  # one made by REST under an old seed's name stays
            table.delete(kind, name)
        table.delete_seed(kind, name)


def _sow(
    one: Enrollment, table: EnrollmentTable, random: Callable[[int], bytes], now: float
) -> None:
    kept = table.get(one.kind, one.name)
    spare = kept.keys if kept else table.take_generated(one.kind, fold(one.name))
    keys = one.keys.completed(spare)
    if not all(keys):
        keys = keys.completed(generate_keys(random))
    created = kept.created if kept else now
    seed = replace(one, keys=keys, etag=bodies.new_etag(random), created=created, updated=now)
    table.put(seed, seeded=True)


# what is left at its default has no part in it: a new kind of terms is no change of the config
def _digest(one: Enrollment) -> str:
    defaults = documents.terms(EnrollmentGroup(""))
    written = {
        **documents.identity(one),
        **documents.attestation(one.keys),
        **{name: it for name, it in documents.terms(one).items() if it != defaults.get(name)},
    }
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
