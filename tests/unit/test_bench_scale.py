"""What the bench makes of a fleet's figures, and that it can take them; no time is asserted."""

import sys

import pytest

from bench import emulator, scale, servers
from bench.emulator import Loaded, Taken
from bench.figures import Unmeasured
from bench.scale import Boot, Cost

OURS = Loaded(Taken([1000.0, 1200.0, 1100.0], [8e-4]), Taken([50_000.0], [15e-6]))
THEIRS = Loaded(Taken([1000.0], [6e-4]), Taken([60_000.0], [7e-6]))

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="what is read of a process")


def test_the_median_round_counts_and_the_worst_is_told():
    rate = OURS.connects.rate()
    assert (rate.number, rate.worst) == (1100, 1000)


def test_a_round_is_a_rate_and_the_cpu_of_one():
    taken = Taken()
    taken.add(100, 2.0, 0.5)
    assert (taken.rates, taken.cpu) == ([50], [0.005])


def test_the_bars_of_a_fleet_are_mosquittos_figures_of_the_same_run():
    connects, cpu, publishes, price = scale.rate_rows(OURS, THEIRS)
    assert (connects.bar.limit, connects.met) == (1000, True)
    assert (publishes.bar.limit, publishes.met) == (48_000, True)
    assert (price.bar.limit, price.met) == (14, False)
    assert cpu.bar is None
    assert connects.against == "mosquitto"


def test_without_mosquitto_there_is_no_bar():
    rows = scale.rate_rows(OURS)
    assert {row.against for row in rows} == {"mosquitto: not installed"}
    assert {row.met for row in rows} == {None}
    assert {row.beside for row in rows} == {None}


def test_only_the_largest_fleet_has_a_bar_and_every_failure_counts():
    whole, shakes = Cost(13.0, 9.0, 5000 * 48 * 1024), Cost(10.0, 6.0, 5000 * 40 * 1024)
    small, large = Boot(100, 1, whole, shakes), Boot(5000, 0, whole, shakes)
    rows = scale.boot_rows([small, large])
    assert [row.what for row in rows if row.bar] == ["5 000 devices boot", "devices that failed"]
    assert rows[3].met
    assert rows[3].ratio == 1.3
    assert (rows[-1].ours.number, rows[-1].met) == (1, False)
    assert rows[5].ours.number == 48
    assert rows[4].ours.number == pytest.approx(1.8)


def test_mosquitto_is_found_where_debian_puts_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers, "_SBIN", str(tmp_path / "sbin"))
    assert servers.mosquitto_path() is None
    (tmp_path / "sbin").mkdir()
    program = tmp_path / "sbin" / "mosquitto"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert servers.mosquitto_path() == str(program)


@on_linux
def test_a_boot_of_three_is_measured(tmp_path):
    boot = scale.boot(tmp_path / "three", None, 3)
    assert (boot.devices, boot.failed) == (3, 0)
    assert min(boot.whole.seconds, boot.whole.cpu, boot.shakes.seconds, boot.shakes.cpu) > 0


@on_linux
def test_a_fleet_loads_every_server_there_is(monkeypatch, tmp_path):
    for name, number in (("_DEVICES", 4), ("_EACH", 2), ("_ROUNDS", 1)):
        monkeypatch.setattr(scale, name, number)
    sides = scale.loaded(tmp_path, None)
    assert len(sides) == (2 if servers.mosquitto_path() else 1)
    assert all(len(one.connects.rates) == len(one.publishes.cpu) == 1 for one in sides)


@on_linux
def test_a_lean_load_loads_every_server_there_is(monkeypatch, tmp_path):
    class Folder:
        folder = tmp_path

    for name, number in (("_CONNECTS", 4), ("_CLIENTS", 2), ("_EACH", 2), ("_ROUNDS", 1)):
        monkeypatch.setattr(emulator, name, number)
    rows = emulator.rows(Folder)
    assert [row.what for row in rows] == [
        "connects", "CPU of one connect", "publishes at QoS 1", "CPU of one publish"
    ]  # fmt: skip
    assert min(row.ours.number for row in rows) > 0


def test_elsewhere_nothing_is_measured(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    for section in (emulator, scale):
        with pytest.raises(Unmeasured):
            section.rows(None)
