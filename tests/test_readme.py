"""The commands of the README and of the guides, run as a reader would, in order, in one shell.

A block that begins with ```console holds commands behind "$ " and what they print. Numbers that
differ from run to run (ports, times, sizes) may differ; all else must be as written. Commands
that only end when told to (cloud, boot) are started, must print what is shown, and are ended.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.emulator.cloud_fixtures import port_8883

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^( *)```console\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
# set up in a clone, or running this very test, these are tried by other means: see below
ELSEWHERE = {"make demo", "make test"}
LINE = {"board", "batch", "flash", "label", "ledger"}  # the verbs of the line, in their own test


@dataclass
class Command:
    words: str
    output: list[str] = field(default_factory=list)


def commands(page: str) -> list[Command]:
    found: list[Command] = []
    for indent, block in FENCE.findall((ROOT / page).read_text()):
        for line in block.splitlines():
            line = line.removeprefix(indent)
            if line.startswith("$ "):
                found.append(Command(line[2:]))
            elif "<<END" in found[-1].words and not found[-1].words.endswith("\nEND"):
                found[-1].words += "\n" + line
            else:
                found[-1].output.append(line)
    return found


def loose(text: str) -> str:
    """Numbers that differ from run to run, as #."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "#", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:#", text)
    text = re.sub(r"\d+\.\d s, \d+ bytes|head: \d+:[0-9a-f]{64}", "#", text)
    text = re.sub(r'"uptime": \d+', '"uptime": #', text)
    return re.sub(r"\[ *\d+\.\d+\]|in \d+\.\d s|\b\d{4,}\b(?=[,} ]|$)", "#", text).rstrip()


class Shell:
    """A reader's shell in a folder of its own, with what earlier commands exported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        # where a cloud says that it is the one started last: not to be another test's
        (folder / "run").mkdir(mode=0o700)
        self.environment["XDG_RUNTIME_DIR"] = str(folder / "run")
        self.environment["PATH"] = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"

    def run(self, words: str) -> str:
        """Run one command to its end; return what it prints on both streams."""
        if exported := re.fullmatch(r"export (\w+)=(.*)", words):
            name, value = exported.groups()
            if name != "PATH":
                self.environment[name] = value
            return ""
        result = subprocess.run(
            ["bash", "-c", words], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=110, check=False,
        )  # fmt: skip
        return result.stdout

    @contextmanager
    def started(self, words: str) -> Iterator["subprocess.Popen[str]"]:
        """Start a command that does not end by itself; end it."""
        with subprocess.Popen(
            ["bash", "-c", "exec " + words], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.terminate()


ANY = "127.0.0.1:0"  # a port that nobody else can have meanwhile


def place(line: str) -> str:
    """The address and port that a line names."""
    found = re.search(r"127\.0\.0\.1:\d+", line)
    assert found, line
    return found[0]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def until(process: "subprocess.Popen[str]", wanted: str) -> list[str]:
    """Read a process's lines up to one that holds wanted."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if wanted in line:
            return lines
    raise AssertionError(f"{wanted!r} not printed:\n" + "\n".join(lines))


def test_the_first_command_stands_above_line_15() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert next(i for i, line in enumerate(lines, 1) if line.startswith("$ ")) <= 15


def test_the_readmes_demo_prints_what_is_shown(shell: Shell) -> None:
    [demo] = [one for one in commands("README.md") if one.words == "make demo"]
    told = shell.run("keystead demo")
    printed = [loose(line) for line in told.splitlines()]
    shown = [loose(line) for line in demo.output]
    # both ends talk at once: the order of their lines may differ, the lines may not
    assert sorted(set(shown) - set(printed)) == []
    assert "\x1b[" not in told  # no colour into a pipe
    assert "sig=" not in told
    assert "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE" not in told  # the group's key


def test_the_readmes_commands_print_what_is_shown(shell: Shell) -> None:
    ran = 0
    for command in commands("README.md"):
        verb = command.words.removeprefix("keystead ").split()[0]
        if command.words in ELSEWHERE or verb in {"cloud", "boot"} | LINE:
            continue
        assert shell.run(command.words).splitlines() == command.output
        ran += 1
    assert ran >= 6
    assert (shell.folder / "cloud.toml").is_file()


def test_the_readmes_cloud_and_board_find_each_other(shell: Shell) -> None:
    page = commands("README.md")
    for command in page:
        if command.words.startswith(("export", "cat")):
            shell.run(command.words)
    cloud, *service = [one for one in page if one.words.startswith("keystead cloud")]
    *asked, followed = service
    bench, own = [one for one in page if one.words.startswith("keystead boot")]
    with port_8883(), shell.started(cloud.words) as served:
        assert until(served, "listening on")[-1:] == cloud.output
        with shell.started(bench.words) as board:
            lines = until(board, "hub: connected")
            for command in asked:
                assert shell.run(command.words).splitlines() == command.output
            with shell.started(followed.words) as events:
                # the time before it is of the day
                assert loose(followed.output[0]) in loose(until(events, "sent telemetry")[-1])
            assert until(board, "FAILURE 36 connection-lost")  # the bad day is seen
        shell.run("keystead cloud fault clear")
        assert [loose(lines[0])] == [loose(line) for line in bench.output]
        # the command for one's own DPS is the same, but for where the names lead
        with shell.started(own.words + " --cloud 127.0.0.1:8883 --ca ca.pem") as board:
            until(board, "hub: connected")
        served.send_signal(signal.SIGINT)
        assert served.wait(60) == 0


def test_the_readmes_line_makes_a_good_board(shell: Shell) -> None:
    page = [one for one in commands("README.md") if one.words not in ELSEWHERE]
    for command in page:
        if command.words.startswith("export"):
            shell.run(command.words)
    board, *line = [one for one in page if one.words.split()[1] in LINE]
    with shell.started(board.words.replace("127.0.0.1:4001", ANY)) as on:
        [said] = until(on, "rfc2217")
        assert [loose(said)] == [loose(text) for text in board.output]
        port = place(said)
        for command in line:
            printed = shell.run(command.words.replace("127.0.0.1:4001", port) + " || echo GAVE UP")
            assert "GAVE UP" not in printed, printed
            shown = {loose(text) for text in command.output}
            assert shown <= {loose(text) for text in printed.splitlines()}, printed
    assert (shell.folder / "labels.pdf").read_bytes().startswith(b"%PDF")


def test_the_guide_to_boards_prints_what_is_shown(shell: Shell) -> None:
    for command in commands("docs/boards.md"):
        printed = shell.run(command.words).splitlines()
        assert [loose(line) for line in printed] == [loose(line) for line in command.output]
    assert (shell.folder / "build" / "flash" / "config.json").is_file()
    assert (shell.folder / "build" / "flash" / "main.py").is_file()


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in an address, as GitHub makes it of them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"])
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", page.read_text()):
        there = page.parent / target if target else page
        assert there.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(there), f"{page.name}: {target}#{anchor}"


def test_there_are_links_to_headings_and_a_wrong_one_would_be_found() -> None:
    assert "(../README.md#your-own-dps-instance)" in (ROOT / "docs/factory.md").read_text()
    assert "your-own-dps-instance" in anchors(ROOT / "README.md")
    assert "your-own-dps" not in anchors(ROOT / "README.md")


def test_make_targets_the_pages_name_exist() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    code = [
        part
        for page in pages
        for part in re.findall(r"`[^`\n]+`|^(?: {4}|\$ ).*", page.read_text(), re.MULTILINE)
    ]
    targets = set(re.findall(r"(?<!nvs )\bmake ([a-z][a-z-]*)", "\n".join(code)))
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets
    assert targets <= known


def steps(page: str) -> list[str]:
    """The commands of a guide that stand for themselves, in their order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.startswith("keystead")]


def test_the_guide_to_scenarios_is_right_from_word_to_word(shell: Shell) -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text()
    [story, *_] = re.findall(r"^```toml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (shell.folder / "monday.toml").write_text(story)
    served, *rest = steps("docs/scenarios.md")
    assert served.startswith("keystead cloud --scenario")
    with shell.started(served + " --port 0 --state-dir state") as cloud:
        until(cloud, "listening on")
        for words in rest:
            where = "" if re.search("check|words", words) else " --state-dir state"
            said = shell.run(f"{words}{where} || echo GAVE UP")
            assert "GAVE UP" not in said, (words, said)
