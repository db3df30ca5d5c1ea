"""docs/factory.md, as a new user would go through it: its commands against virtual boards."""

import re
from pathlib import Path

import pytest

from host_tools.flash.failure import REMEDIES
from host_tools.retrofit.failure import REASONS
from tests.ports import kept_row
from tests.test_readme import ROOT, Shell, commands, loose, until

GUIDE = "docs/factory.md"
SHOWN = 4001  # the first board's port on the page


@pytest.mark.timeout(400)  # seconds: it is a long page
def test_the_guides_commands_do_what_it_says(tmp_path: Path) -> None:
    shell, page = Shell(tmp_path), commands(GUIDE)
    [cloud] = [one for one in page if one.words.startswith("keystead cloud")]
    [bench] = [one for one in page if one.words.startswith("keystead board")]
    at = page.index(cloud)
    for command in page[:at]:
        assert shell.run(command.words).splitlines() == command.output
    with (
        kept_row(len(bench.output)) as first,
        shell.started(cloud.words + " --port 0") as served,
    ):
        *_, policy = told = until(served, "DPS owner's policy")
        assert [loose(told[0])] == [loose(text) for text in cloud.output]
        (tmp_path / "policy.txt").write_text(policy.split()[-1])
        (tmp_path / "policy.txt").chmod(0o600)
        words = here(bench.words, first).replace(":8883", ":" + told[0].rpartition(":")[2])
        with shell.started(words) as boards:
            until(boards, f":{first + len(bench.output) - 1}")
            for command in page[at + 2 :]:
                printed = shell.run(here(command.words, first))
                lines = {without_times(text) for text in printed.splitlines()}
                assert {without_times(text) for text in command.output} <= lines, printed


def without_times(text: str) -> str:
    return loose(re.sub(r"\.\d{3}Z", "Z", text))


def here(words: str, first: int) -> str:
    return re.sub(r"(?<=127\.0\.0\.1:)40\d\d", lambda n: str(int(n[0]) - SHOWN + first), words)


def test_every_failure_is_in_the_guide() -> None:
    page = (ROOT / GUIDE).read_text()
    names = {*REMEDIES, *REASONS}
    assert [name for name in names if f"`{name}`" not in page] == []
