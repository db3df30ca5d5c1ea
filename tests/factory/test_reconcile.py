"""`keystead ledger reconcile`: the ledger beside the registration list of a DPS that runs."""

import asyncio
import json
import os
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import cli
from host_tools.errors import CommandError
from host_tools.keys import derive_device_key, encode_key
from host_tools.ledger import dps, open_ledger
from host_tools.ledger.reconciling import reconcile
from keystead.dps import resource
from keystead.sas import sas_token
from tests.emulator.cloud_fixtures import LIMIT, running
from tests.emulator.test_dps_served import GROUP, PRIMARY, SCOPE, client, program_token
from tests.factory.ledger_conduct import CHIP, FINGERPRINT, batch, mac, make, units

STRANGER = "stranger"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A DPS with three devices of a group: two of the ledger's boards, and a stranger."""
    folder, facts = tmp_path_factory.mktemp("cloud"), {}
    ready, over = threading.Event(), threading.Event()

    async def serve():
        words = ("--port", 0, "--rest-port", 0, "--state-dir", folder, "--show-keys")
        async with running(*words) as process:
            facts.update(process.facts)
            async with client(facts, program_token(facts)) as program:
                assert (await program.put("/enrollmentGroups/fleet", json=GROUP)).is_success
            for name in (NAMES[0], NAMES[2], STRANGER):
                await register(facts, name)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(LIMIT)
        yield facts
    finally:
        over.set()
        thread.join(LIMIT)


NAMES = [f"sn-sn00{n}-mac-02-00-00-00-00-0{n}" for n in range(1, 5)]


async def register(facts, name):
    """Have a device assigned, as it does it over HTTPS."""
    key = derive_device_key(PRIMARY, name)
    token = sas_token(resource(SCOPE, name), key, int(time.time()) + 600, "registration")
    async with client(facts, token) as device:
        path = f"/{SCOPE}/registrations/{name}"
        begun = await device.put(f"{path}/register", json={"registrationId": name})
        operation = begun.json()["operationId"]
        while (end := await device.get(f"{path}/operations/{operation}")).status_code == 202:
            pass
        assert end.json()["status"] == "assigned"


@pytest.fixture
def place(tmp_path):
    """A ledger: 1 is good, 2 is good and was never seen, 3 failed, 4 is reserved."""
    found = str(tmp_path / "ledger.sqlite3")
    with open_ledger(found, create=True) as ledger:
        ledger.create_batch(batch(), units(4))
        boards = [ledger.reserve("A", mac(n), CHIP) for n in range(1, 5)]
        assert [one.registration_id for one in boards] == NAMES
        for one in boards[:2]:
            make(ledger, one)
        attempt = make(ledger, boards[2], "proven")
        ledger.append(boards[2].registration_id, "failed", attempt=attempt, reason="no-hub")
    return found


@pytest.fixture
def keystead(place, cloud, capsys, monkeypatch):
    monkeypatch.setenv("KEYSTEAD_LEDGER", place)

    def run(*words, named=cloud["dps"]["connection_string"]):
        monkeypatch.setenv(dps.VARIABLE, named)
        code = cli.main(["ledger", "reconcile", "--ca", cloud["ca"], *words])
        return code, *capsys.readouterr()

    return run


def test_boards_never_seen_and_never_made_are_told_with_exit_code_4(keystead):
    code, out, error = keystead("--group", "fleet")
    assert (code, error) == (4, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"never seen: {NAMES[1]}: good in batch A since 20")
    told = {line.partition(": reg")[0]: line for line in lines[1:3]}
    assert told[f"never made: {STRANGER}"].endswith("the ledger does not know it")
    assert told[f"not good: {NAMES[2]}"].endswith("the ledger has it as failed (no-hub)")
    assert lines[3] == (
        "1 as they should be, 1 flashed but never seen in DPS, 1 seen but never made,"
        " 1 seen but not good, 0 not assigned"
    )
    document = json.loads(keystead("--json")[1])  # all groups: there is one
    assert document["matched"] == 1
    assert [one["registrationId"] for one in document["neverSeen"]] == [NAMES[1]]


def test_an_agreement_has_exit_code_0(keystead, place):
    with open_ledger(place) as ledger:
        make(ledger, ledger.identity(NAMES[2]))
        ledger.append(NAMES[1], "scrapped", reason="test piece")
        ledger.create_batch(batch("B", template=STRANGER), units(1, "x"))
        make(ledger, ledger.reserve("B", mac(9), CHIP))
    assert keystead()[0] == 0
    assert "3 as they should be, 0 flashed" in keystead("--group", "fleet")[1]
    assert "2 as they should be, 0 flashed" in keystead("--batch", "A")[1]


def refused(result):
    code, out, error = result
    assert (code, out, error.count("\n")) == (1, "", 1)
    return error


def test_what_can_go_wrong_is_one_line_without_the_key(keystead, cloud, tmp_path):
    good = cloud["dps"]["connection_string"]
    key = good.rpartition("SharedAccessKey=")[2]
    wrong = good.replace(key, encode_key(bytes(64)))
    readers = good.replace("provisioningserviceowner", "nobody")
    file = tmp_path / "policy"
    file.write_text(good + "\n")
    file.chmod(0o644)
    told = [
        (keystead(named=""), "no DPS named: put the connection string"),
        (keystead(named=good[:-3]), "is not Base64"),
        (keystead(named=key), "is not HostName="),
        (
            keystead("--group", "fleet", named=wrong),
            "does not let policy provisioningserviceowner",
        ),
        (keystead(named=readers), "does not let policy nobody list its enrollment groups"),
        (keystead("--cloud", "http://127.0.0.1"), "must be https://"),
        (keystead("--cloud", "https://127.0.0.1:1"), "can not be reached"),
        (keystead("--connection-string-file", str(tmp_path / "none")), "can not read"),
        (keystead("--connection-string-file", str(file)), f"run `chmod 600 {file}`"),
        (keystead("--ca", str(tmp_path / "none")), "can not read the CA certificate"),
        (keystead("--batch", "Z"), "no batch 'Z'"),
    ]
    for result, why in told:
        error = refused(result)
        assert why in error
        assert key[:20] not in error
    file.chmod(0o600)
    for begins in ("", "\ufeff"):  # as editors on Windows begin a file
        file.write_text(begins + good + "\n", encoding="utf-8")
        assert keystead("--connection-string-file", str(file), named="")[0] == 4


def test_no_child_of_ours_inherits_the_connection_string(keystead, tmp_path):
    keystead("--cloud", "https://127.0.0.1:1")
    assert dps.VARIABLE not in os.environ
    keystead("--connection-string-file", str(tmp_path / "none"))
    assert dps.VARIABLE not in os.environ


def service(cloud, **more):
    return dps.Dps(
        dps.Policy.parse(cloud["dps"]["connection_string"], "it"), ca=Path(cloud["ca"]), **more
    )


def test_a_long_list_comes_page_by_page(cloud):
    with service(cloud, page=1) as one:
        names = [record["registrationId"] for record in one.registrations("fleet")]
    assert sorted(names) == sorted([NAMES[0], NAMES[2], STRANGER])


@asynccontextmanager
async def control(cloud):
    known = json.loads(Path(cloud["rest"]["control"]).read_text())
    async with client(cloud, f"Bearer {known['token']}") as found:
        yield found


def tell(cloud, sentence):
    """Have the cloud go wrong."""

    async def work():
        async with control(cloud) as found:
            assert (await found.post("/keystead/faults", json=sentence)).is_success

    asyncio.run(work())


def test_a_dps_that_has_no_time_is_asked_again_when_it_says(cloud):
    waits = []
    tell(
        cloud,
        {"when": "a program calls the service API", "gets": "429, retry after 7 s", "times": 2},
    )
    with service(cloud, wait=waits.append) as one:
        assert len(list(one.registrations("fleet"))) == 3
    assert waits == [7, 7]
    tell(cloud, {"when": "a program calls the service API", "gets": "503", "times": 6})
    with service(cloud, wait=waits.append) as one, pytest.raises(CommandError, match="HTTP 503"):
        list(one.registrations("fleet"))
    assert len(waits) == 7


def test_only_a_board_whose_key_no_station_had_is_one_that_was_never_made(place):
    with open_ledger(place) as ledger:
        for name in NAMES[:2]:
            ledger.append(name, "scrapped", reason="dropped")
        ledger.begin_attempt(NAMES[2], "retrofitting", fingerprint=FINGERPRINT)
        boards = list(ledger.identities())
    records = [{"registrationId": name, "status": "assigned"} for name in NAMES]
    found = reconcile(boards, records)
    assert [one.registration_id for one in found.never_made] == [NAMES[3]]  # reserved, no more
    assert [one.why.rpartition(" as ")[2] for one in found.not_good] == [
        "scrapped (dropped)", "scrapped (dropped)", "retrofitting",
    ]  # fmt: skip
    assert found.count == 4
    assert [one["registrationId"] for one in found.json()["notGood"]] == NAMES[:3]


def test_a_registration_that_failed_is_no_match(place):
    with open_ledger(place) as ledger:
        boards = list(ledger.identities())
    records = [
        {"registrationId": NAMES[0].upper(), "status": "failed", "errorMessage": "hub is full"},
        {"registrationId": NAMES[1], "status": "disabled"},
    ]
    found = reconcile(boards, records)
    assert [one.why for one in found.not_assigned] == [
        "DPS has it as failed: hub is full",
        "DPS has it as disabled: no reason given",
    ]
    assert found.count == 2


@pytest.mark.parametrize("text", ["<html>log in to the factory's Wi-Fi</html>", "{}", "[1]"])
def test_what_answers_but_is_no_dps_is_told(text):
    with pytest.raises(CommandError, match="https://x is no DPS"):
        dps._items(httpx.Response(200, text=text), "https://x")


@given(st.text() | st.from_regex(r"(HostName|SharedAccessKeyName|SharedAccessKey)=.*;.*=.*;.*"))
def test_any_text_is_a_policy_or_refused_without_being_told(text):
    try:
        found = dps.Policy.parse(text, "the string")
    except CommandError as refusal:
        assert len(text) < 12 or text not in str(refusal)
    else:
        assert repr(found.key) not in repr(found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_a_list_of_objects_or_refused(body):
    try:
        found = dps._items(httpx.Response(200, content=body), "https://x")
    except CommandError:
        return
    assert all(isinstance(one, dict) for one in found)
    assert reconcile([], found).count == len(found)
