"""Where the portal's tests find a browser."""

import sys
from pathlib import Path

import pytest

from host_tools.errors import CommandError
from host_tools.toolchain import browser
from host_tools.toolchain.log import Log


def having(*programs):
    return lambda name: f"/usr/bin/{name}" if name in programs else None


def test_a_browser_on_path_is_found_by_any_of_its_names():
    for name in browser.NAMES:
        assert browser.find({}, having(name)) == Path("/usr/bin", name)


def test_the_variable_comes_first():
    which = having("chromium", "my-chrome")
    assert browser.find({"CHROMIUM": "my-chrome"}, which) == Path("/usr/bin/my-chrome")


def test_a_variable_that_names_no_program_is_told():
    with pytest.raises(CommandError, match=r"\$CHROMIUM is /no/such, which is no program"):
        browser.find({"CHROMIUM": "/no/such"}, having("chromium"))


def test_a_machine_may_have_none():
    assert browser.find({}, having()) is None
    assert "make setup-browser" in browser.MISSING


def test_where_there_is_no_apt_the_advice_is_to_install_it_oneself(tmp_path):
    with pytest.raises(CommandError, match=r"install it yourself.*\$CHROMIUM"):
        browser.install(Log(tmp_path / "log"), 0, having())


def test_without_root_the_advice_is_the_command_with_it(tmp_path):
    with pytest.raises(CommandError, match="sudo make setup-browser"):
        browser.install(Log(tmp_path / "log"), 1000, having("apt-get"))


def test_it_takes_no_words(capsys):
    assert browser.main(["--help"]) == 2
    assert "usage" in capsys.readouterr().err


def test_it_says_where_the_browser_is(capsys, monkeypatch):
    monkeypatch.setenv("CHROMIUM", sys.executable)  # any program will do
    assert browser.main() == 0
    assert capsys.readouterr().out.strip() == sys.executable
