"""The live NVS: what esp32.NVS of a chip does, through every power cut."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import host_tools.nvs.page as page
from host_tools import nvs
from host_tools.nvs import Entry, MemoryFlash, NotEnoughSpace, NotFound, NvsError, Store
from host_tools.nvs.errors import KeyTooLong, NoFreePages, ValueTooLong
from tests.factory import nvs_tool


@dataclass(frozen=True)
class Part:
    offset: int
    size: int


REGION = Part(0x9000, 0x3000)  # the least there is: two pages and the free one
BLANK = b"\xff" * 0xD000


class PowerCut(Exception):
    """The supply of the flash went away."""


class FailingFlash(MemoryFlash):
    """Flash whose power goes after some bytes more have been written or erased."""

    left: int | None = None
    done = 0

    def _spend(self, wanted: int) -> int:
        now = wanted if self.left is None else min(wanted, self.left)
        self.done += now
        if self.left is not None:
            self.left -= now
        return now

    def write(self, offset: int, data: bytes) -> None:
        assert REGION.offset <= offset
        assert offset + len(data) <= REGION.offset + REGION.size
        now = self._spend(len(data))
        super().write(offset, data[:now])
        if now < len(data):
            raise PowerCut

    def erase(self, offset: int, n: int) -> None:
        assert offset % 4096 == 0
        assert n % 4096 == 0
        now = self._spend(n)
        super().erase(offset, now)
        if now < n:
            raise PowerCut


def region(flash: MemoryFlash) -> bytes:
    return bytes(flash.content[REGION.offset : REGION.offset + REGION.size])


def a_store() -> tuple[FailingFlash, Store]:
    flash = FailingFlash(BLANK)
    return flash, Store(flash, REGION)


def test_values_are_kept_over_a_restart() -> None:
    flash, store = a_store()
    store.set_i32("app", "count", -5)
    store.set_blob("keystead", "record", b"x" * 140)
    store.commit()
    again = Store(flash, REGION)
    assert again.get_i32("app", "count") == -5
    assert again.get_blob("keystead", "record") == b"x" * 140
    assert nvs.read(region(flash)) == {
        ("app", "count"): -5,
        ("keystead", "record"): b"x" * 140,
    }


@pytest.mark.parametrize("size", [0, 140, 4000, 9000])
def test_what_the_tool_wrote_is_read_and_changed(size: int) -> None:
    data = random.Random(size).randbytes(size)
    entries = [
        Entry("keystead", "record", "binary", data),
        Entry("app", "n", "i32", 8),
        Entry("app", "name", "string", "untouched"),
    ]
    flash = MemoryFlash(nvs_tool.image(entries, 0x6000))
    store = Store(flash, Part(0, 0x6000))
    assert store.get_blob("keystead", "record") == data
    assert store.get_i32("app", "n") == 8
    store.set_blob("keystead", "record", data[::-1] + b"!")
    store.set_i32("app", "n", 9)
    assert nvs.read(bytes(flash.content)) == {
        ("keystead", "record"): data[::-1] + b"!",
        ("app", "n"): 9,
        ("app", "name"): "untouched",
    }


def test_a_first_blob_lies_on_flash_as_the_tool_would_put_it() -> None:
    flash, store = a_store()
    store.set_blob("keystead", "record", b"x" * 140)
    assert region(flash) == nvs_tool.image(
        [Entry("keystead", "record", "binary", b"x" * 140)], REGION.size
    )


def test_what_is_not_there_is_not_found_with_esp_idfs_code() -> None:
    _, store = a_store()
    store.set_i32("app", "count", 1)
    for call in (
        lambda: store.get_i32("app", "other"),
        lambda: store.get_i32("none", "count"),
        lambda: store.get_blob("app", "count"),
        lambda: store.erase_key("app", "other"),
    ):
        with pytest.raises(NotFound) as caught:
            call()
        assert (caught.value.code, caught.value.name) == (4354, "ESP_ERR_NVS_NOT_FOUND")


def test_an_erased_key_is_gone_for_good() -> None:
    flash, store = a_store()
    store.set_blob("app", "b", b"x" * 100)
    store.set_i32("app", "n", 1)
    store.erase_key("app", "b")
    with pytest.raises(NotFound):
        Store(flash, REGION).get_blob("app", "b")
    assert nvs.read(region(flash)) == {("app", "n"): 1}


def test_a_value_may_change_its_kind() -> None:
    flash, store = a_store()
    store.set_i32("app", "k", 1)
    store.set_blob("app", "k", b"blob")
    assert nvs.read(region(flash)) == {("app", "k"): b"blob"}
    store.set_i32("app", "k", 2)
    assert nvs.read(region(flash)) == {("app", "k"): 2}


def test_setting_the_same_value_again_writes_nothing() -> None:
    flash, store = a_store()
    store.set_blob("app", "b", b"x" * 5000)
    store.set_i32("app", "n", 7)
    before = flash.done
    store.set_blob("app", "b", b"x" * 5000)
    store.set_i32("app", "n", 7)
    store.open_namespace("app")
    assert flash.done == before


def test_the_room_of_erased_entries_is_won_back_without_end() -> None:
    flash, store = a_store()
    store.set_blob("app", "kept", b"k" * 900)
    for number in range(400):
        store.set_blob("app", "b", number.to_bytes(2, "big") * 300)
        store.set_i32("app", "n", number)
    assert nvs.read(region(flash)) == {
        ("app", "kept"): b"k" * 900,
        ("app", "b"): (399).to_bytes(2, "big") * 300,
        ("app", "n"): 399,
    }


def test_a_full_store_says_so_and_keeps_what_it_has() -> None:
    flash, store = a_store()
    store.set_blob("app", "b", b"a" * 5000)
    with pytest.raises(NotEnoughSpace):  # old and new do not fit side by side
        store.set_blob("app", "b", b"b" * 5000)
    assert store.get_blob("app", "b") == b"a" * 5000
    assert nvs.read(region(flash)) == {("app", "b"): b"a" * 5000}
    with pytest.raises(NotEnoughSpace):
        for number in range(300):
            store.set_i32("app", f"n{number}", number)
    assert Store(flash, REGION).get_blob("app", "b") == b"a" * 5000


def test_bad_names_and_values_are_refused_before_anything_is_written() -> None:
    flash, store = a_store()
    with pytest.raises(KeyTooLong):
        store.set_i32("app", "k" * 16, 1)
    with pytest.raises(KeyTooLong):
        store.set_blob("n" * 16, "k", b"")
    with pytest.raises(NvsError, match="32 bits"):
        store.set_i32("app", "k", 2**31)
    with pytest.raises(ValueTooLong):
        store.set_blob("app", "k", bytes(8001))
    assert region(flash) == b"\xff" * REGION.size


def test_a_partition_without_a_free_page_is_refused() -> None:
    flash = MemoryFlash(nvs_tool.image([Entry("a", "k", "i32", 1)], 0x1000))
    with pytest.raises(NoFreePages, match="at least 0x3000"):
        Store(flash, Part(0, 0x1000))


def test_a_page_of_a_newer_version_is_refused_and_left_as_it_is() -> None:
    flash = MemoryFlash(BLANK)
    flash.write(REGION.offset, page.header(page.ACTIVE, 0, page.VERSION_2 - 1))
    before = bytes(flash.content)
    with pytest.raises(NvsError, match="0x9000 is of a newer version than ours"):
        Store(flash, REGION)
    assert flash.content == before


def test_a_damaged_blob_is_not_found_and_can_be_set_anew() -> None:
    flash, store = a_store()
    store.set_blob("app", "b", b"x" * 100)
    flash.content[REGION.offset + 64 + 64] ^= 1
    with pytest.raises(NotFound, match="damaged"):
        store.get_blob("app", "b")
    store.set_blob("app", "b", b"y" * 100)
    assert Store(flash, REGION).get_blob("app", "b") == b"y" * 100


def _used_up() -> FailingFlash:
    """Return flash on which setting the blob anew collects garbage, in two chunks."""
    flash, store = a_store()
    store.set_blob("app", "kept", b"k" * 1500)
    for number in range(5):
        store.set_blob("app", "b", bytes([number]) * 1500)
    return flash


def test_power_may_go_at_any_write_while_garbage_is_collected() -> None:
    flash = _used_up()
    full = FailingFlash(bytes(flash.content))
    Store(full, REGION).set_blob("app", "b", b"new" * 500)
    assert full.done > 4096, "it was to erase a page"
    seen = set()
    for cut in [*range(0, full.done, 37), *range(0, 200), full.done - 1]:
        torn = FailingFlash(bytes(flash.content))
        torn.left = cut
        with pytest.raises(PowerCut):
            Store(torn, REGION).set_blob("app", "b", b"new" * 500)
        torn.left = None
        store = Store(torn, REGION)
        assert store.get_blob("app", "kept") == b"k" * 1500
        seen.add(store.get_blob("app", "b"))
        store.set_blob("app", "b", b"after" * 300)
        assert nvs.read(region(torn)) == {
            ("app", "kept"): b"k" * 1500,
            ("app", "b"): b"after" * 300,
        }
    assert seen == {bytes([4]) * 1500, b"new" * 500}


# bytes that would be entries themselves, should those of a blob ever be taken for some
GHOSTS = page.Item(1, page.I32, 1, page.ANY_CHUNK, "ghost", page.number(page.I32, 1)).pack() * 20


def _get(store: Store, name: str, key: str, value: object) -> int | bytes:
    return store.get_i32(name, key) if isinstance(value, int) else store.get_blob(name, key)


def _written_blank(image: bytes) -> list[int]:
    """Return where entries are that count as written and are blank."""
    return [
        at
        for base in range(0, len(image), page.SIZE)
        for place in range(page.ENTRIES)
        if (image[base + page.STATES + place // 4] >> place % 4 * 2) & 3 == page.WRITTEN
        for at in [base + page.FIRST + place * page.ENTRY]
        if image[at : at + page.ENTRY] == b"\xff" * page.ENTRY
    ]


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda store: store.set_i32("app", "n", 2), {("app", "n"): 2}),
        (lambda store: store.set_blob("app", "b", b"y" * 70), {("app", "b"): b"y" * 70}),
        (lambda store: store.set_i32("app", "b", 3), {("app", "b"): 3}),
        (lambda store: store.set_blob("app", "n", b"z" * 33), {("app", "n"): b"z" * 33}),
        (lambda store: store.set_i32("other", "n", 4), {("other", "n"): 4}),
        (lambda store: store.erase_key("app", "b"), {("app", "b"): None}),
    ],
    ids=["a number", "a blob", "number for blob", "blob for number", "namespace", "erased"],
)
def test_power_may_go_at_any_byte_of_a_change(
    change: Callable[[Store], None], changed: dict[tuple[str, str], int | bytes | None]
) -> None:
    flash, store = a_store()
    store.set_i32("app", "n", 1)
    store.set_blob("app", "b", GHOSTS)
    old = nvs.read(region(flash))
    new = {key: value for key, value in {**old, **changed}.items() if value is not None}
    content = bytes(flash.content)
    whole = FailingFlash(content)
    change(Store(whole, REGION))
    seen = []
    for cut in range(whole.done):
        torn = FailingFlash(content)
        torn.left = cut
        with pytest.raises(PowerCut):
            change(Store(torn, REGION))
        assert _written_blank(region(torn)) == []
        torn.left = None
        store = Store(torn, REGION)
        found = nvs.read(region(torn))
        seen.append(found)
        assert {key: _get(store, *key, value) for key, value in found.items()} == found
        with suppress(NotFound):  # erased already
            change(store)
        assert nvs.read(region(torn)) == new
    assert seen[0] == old
    assert seen[-1] == new
    assert all(one in (old, new) for one in seen)


def test_power_may_go_again_while_a_torn_entry_is_erased() -> None:
    for first in (33, 34, 500, 3100):
        torn, store = a_store()
        store.set_blob("app", "kept", b"k" * 100)
        torn.left = first
        with pytest.raises(PowerCut):
            store.set_blob("app", "b", b"b" * 3000)
        for second in range(40):
            flash = FailingFlash(bytes(torn.content))
            flash.left = second
            with suppress(PowerCut):
                Store(flash, REGION)
            flash.left = None
            store = Store(flash, REGION)
            store.set_blob("app", "b", b"c" * 2500)
            assert nvs.read(region(flash)) == {
                ("app", "kept"): b"k" * 100,
                ("app", "b"): b"c" * 2500,
            }


KEYS = st.sampled_from(["a", "b", "c"])
NAMES = st.sampled_from(["one", "two"])
BLOBS = st.builds(
    lambda size, byte: bytes([byte]) * size,
    st.sampled_from([0, 1, 31, 32, 33, 140, 700, 1500, 3000]),
    st.sampled_from([0, 1, 0xFE, 0xFF]),
)
CUTS = st.none() | st.integers(0, 400) | st.integers(0, 9000)


class LiveNvs(RuleBasedStateMachine):
    """A dictionary beside a store whose power goes at any byte."""

    @initialize(full=st.booleans())
    def power_on(self, full: bool) -> None:
        self.flash = FailingFlash(bytes(_used_up().content) if full else BLANK)
        self.store = Store(self.flash, REGION)
        self.model: dict[tuple[str, str], int | bytes] = {}
        if full:
            self.model = {("app", "kept"): b"k" * 1500, ("app", "b"): b"\x04" * 1500}

    def _change(self, name: str, key: str, value: int | bytes | None, cut: int | None) -> None:
        """Set or erase (None) a key; whatever happens, it has its old or its new value then."""
        old = self.model.get((name, key))
        self.flash.left = cut
        try:
            self._call(name, key, value)
            allowed = [value]
        except (NotEnoughSpace, NotFound):
            allowed = [old]
        except PowerCut:
            allowed = [old, value]
            self._restart()
        self.flash.left = None
        now = nvs.read(region(self.flash)).get((name, key))
        assert now in allowed
        self.model.pop((name, key), None)
        if now is not None:
            self.model[name, key] = now  # type: ignore[assignment]

    def _call(self, name: str, key: str, value: int | bytes | None) -> None:
        if value is None:
            self.store.erase_key(name, key)
        elif isinstance(value, int):
            self.store.set_i32(name, key, value)
        else:
            self.store.set_blob(name, key, value)

    def _restart(self, cut: int | None = None) -> None:
        self.flash.left = cut
        try:
            self.store = Store(self.flash, REGION)
        except PowerCut:  # again, while it mends what the first cut left
            self.flash.left = None
            self.store = Store(self.flash, REGION)
        self.flash.left = None

    @rule(name=NAMES, key=KEYS, value=st.integers(-(2**31), 2**31 - 1), cut=CUTS)
    def set_number(self, name: str, key: str, value: int, cut: int | None) -> None:
        self._change(name, key, value, cut)

    @rule(name=NAMES, key=KEYS, value=BLOBS, cut=CUTS)
    def set_blob(self, name: str, key: str, value: bytes, cut: int | None) -> None:
        self._change(name, key, value, cut)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), cut=CUTS)
    def erase(self, data: st.DataObject, cut: int | None) -> None:
        self._change(*data.draw(st.sampled_from(sorted(self.model))), None, cut)

    @rule(name=NAMES, key=KEYS, value=BLOBS, cut=CUTS, again=st.integers(0, 5000))
    def lose_power_twice(
        self, name: str, key: str, value: bytes, cut: int | None, again: int
    ) -> None:
        restart = self._restart
        self._restart = lambda: restart(again)  # type: ignore[method-assign,assignment]
        self._change(name, key, value, cut)
        self._restart = restart  # type: ignore[method-assign]

    @rule()
    def restart(self) -> None:
        self._restart()

    @invariant()
    def all_is_there_and_the_reader_agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        assert nvs.read(region(self.flash)) == self.model
        for (name, key), value in self.model.items():
            get = self.store.get_i32 if isinstance(value, int) else self.store.get_blob
            assert get(name, key) == value


TestLiveNvs = LiveNvs.TestCase
TestLiveNvs.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
