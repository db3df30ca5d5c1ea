"""What the pages claim: their commands are ones that we have, their files are there, and the
commands of keys.md and ledger.md do what they are for.

Commands with what they print are compared by test_readme.py, test_factory_guide.py,
test_image_command.py and tests/board/test_retrofit_guide.py.
"""

import argparse
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import SECTIONS
from host_tools import boards, cli
from host_tools.images import board_files
from host_tools.keys import derive_device_key, encode_key
from host_tools.ledger import open_ledger
from host_tools.retrofit import plan
from tests.test_readme import ROOT, Shell, commands

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
KEY = bytes(range(64))
PLACES = ("README.md", "docs/factory.md", "docs/retrofit.md")
# what fingerprints and proofs are hashed with; and the word for any
NO_COMMANDS = ("device key", "proof of possession", "VERB --help")


def lines(page: Path) -> list[str]:
    """The lines of a page's code that call keystead, those that go on joined, what follows cut."""
    text = re.sub(r" *\\\n *", " ", page.read_text())
    return re.findall(r"^(?: {4}|\$ )? *(keystead .+)$", "\n".join(_code(text)), re.MULTILINE)


def _code(text: str) -> list[str]:
    fenced = re.findall(r"^ *```(?!text)\w*\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    plain = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*fenced, *re.findall(r"^ {4}.*$", plain, re.MULTILINE)]


def words(line: str) -> list[str]:
    """The words for keystead itself: without comments, pipes and redirections."""
    shell = shlex.shlex(line, posix=True, punctuation_chars="<>|;&")
    shell.whitespace_split = True
    found = list(shell)
    ends = [at for at, word in enumerate(found) if set(word) <= set("<>|;&")]
    return found[1 : ends[0] if ends else None]


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """All that a parser and those below it take."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options(inner)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_is_taken(page: Path) -> None:
    for line in lines(page):
        if not line.startswith("keystead: ") and not re.match(r"keystead [a-z-]+: ", line):
            parser, verb = cli._parser(words(line))
            assert verb is not None, line
            try:
                parser.parse_args(words(line))
            except SystemExit:
                pytest.fail(f"{page.name}: {line}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_command_that_is_named_in_a_sentence_has_the_options_that_are_named(page: Path) -> None:
    for line in re.findall(r"(?<!`)`keystead ([^`]+)`(?!`)", page.read_text()):
        if line.strip() in NO_COMMANDS:
            continue
        verb, *more = line.split()
        assert verb in cli.VERBS, line
        known = set(options(cli._parser([verb])[0]))
        named = {word.partition("=")[0] for word in more if word.startswith("--")}
        assert named <= known, line


def test_the_pages_have_commands_and_wrong_ones_would_be_found() -> None:
    assert sum(len(lines(page)) for page in PAGES) > 60
    assert words('keystead ledger head --at "a b" >> notebook.txt  # now') == [
        "ledger", "head", "--at", "a b",
    ]  # fmt: skip
    parser, _ = cli._parser(["ledger"])
    assert "--head" in set(options(parser))
    assert "--heads" not in set(options(parser))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_files_and_tests_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text()
    ours = r"`((?:tests|host_tools|bench|firmware|boards)/[A-Za-z0-9_/.]+)(?:::\w+)?`"
    assert [path for path in re.findall(ours, text) if not (ROOT / path).exists()] == []
    alone = re.findall(r"`(test_\w+\.py)`", text)
    assert [name for name in alone if not [*ROOT.glob(f"tests/*/{name}")]] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_benches_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"-m bench((?: [a-z]+\b)*)", page.read_text())
    wrong = {word for line in named for word in line.split()} - {*SECTIONS, "some"}
    assert wrong == set()


# ---- figures


@pytest.mark.parametrize("umqtt", [False, True])
def test_a_retrofit_asks_for_the_room_that_its_page_says(umqtt: bool) -> None:
    [said] = re.findall(r"about (\d+) KB free", (ROOT / "docs/retrofit.md").read_text())
    files = board_files.content(boards.get("ESP32_GENERIC_C3"), umqtt=umqtt)
    room = plan.plan({f"/{path}": data for path, data in files.items()}, [], []).room
    assert room == pytest.approx(int(said) * 1000, rel=0.05)


def test_the_images_of_a_batch_take_the_room_that_their_page_says() -> None:
    page = (ROOT / "docs/images.md").read_text()
    [(kibibytes, boards_said, megabytes)] = re.findall(
        r"\| `nvs` \| 0x9000, (\d+) KiB .*?([\d ]+) boards take some \d s and (\d+) MB",
        page, re.DOTALL,
    )  # fmt: skip
    count = int(boards_said.replace(" ", ""))
    assert count * int(kibibytes) * 1024 == pytest.approx(int(megabytes) * 1e6, rel=0.01)


# ---- keys.md


def section(page: str, title: str) -> str:
    """The code of a section, without what it is indented by."""
    text = (ROOT / page).read_text().split(f"\n## {title}\n")[1].partition("\n## ")[0]
    return "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))


def test_a_group_key_comes_into_a_file_and_is_used_from_there(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    done = subprocess.run(
        ["bash", "-c", section("docs/keys.md", "A file")],
        input=encode_key(KEY) + "\n", cwd=tmp_path, env=shell.environment, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"sn-1\t{encode_key(derive_device_key(KEY, 'sn-1'))}\n"
    assert (tmp_path / "group.key").stat().st_mode & 0o777 == 0o600


def test_many_keys_are_derived_into_a_file(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.environment["KEYSTEAD_GROUP_KEY"] = encode_key(KEY)
    (tmp_path / "ids.txt").write_text("sn-1\nsn-2\n")
    shell.run(section("docs/keys.md", "Many keys at once"))
    assert (tmp_path / "keys.csv").read_text().splitlines() == [
        "registration_id,device_key",
        *(f"{name},{encode_key(derive_device_key(KEY, name))}" for name in ("sn-1", "sn-2")),
    ]


def test_a_token_in_software_is_made_and_derives(tmp_path: Path) -> None:
    pytest.importorskip("pkcs11")
    if not (ROOT / ".toolchain" / "softhsm").is_dir():
        pytest.skip("SoftHSM2 is not set up here; `make setup` does it on Debian")
    shell = Shell(tmp_path)
    (tmp_path / ".toolchain").symlink_to(ROOT / ".toolchain")
    told = shell.run(section("docs/keys.md", "A rehearsal with SoftHSM"))
    key = "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
    assert told.splitlines()[-1] == f"sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6\t{key}", told
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_symlink()]
    assert tmp_path / "token" / "put.py" in kept
    assert not [file for file in kept if b"8isrFI1sGsIlvvFS" in file.read_bytes()]


# ---- one page after the other


def test_pages_that_make_files_do_so_each_in_a_folder_of_its_own() -> None:
    folders = []
    for page in ("factory", "retrofit", "images"):
        said = [one.words for one in commands(f"docs/{page}.md")]
        path = said.index("export PATH=$PWD/.venv/bin:$PATH")  # while it is the checkout
        [moved] = [words for words in said if words.startswith("mkdir")]
        assert path < said.index(moved) < min(n for n, it in enumerate(said) if "keystead " in it)
        folders.append(moved)
    assert len(set(folders)) == 3
    assert "export PATH=$PWD/.venv/bin:$PATH\n" in (ROOT / "docs/virtual_board.md").read_text()


def test_what_the_readme_leaves_is_in_no_ones_way() -> None:
    def said(page: str) -> str:
        return " ".join(one.words for one in commands(page))

    ledgers = {page: set(re.findall(r"--ledger (\S+)", said(page))) for page in PLACES}
    ports = {page: set(re.findall(r"127\.0\.0\.1:(4\d+)", said(page))) for page in PLACES}
    assert ledgers["README.md"] == {"bench.db"}
    assert ledgers["docs/factory.md"] == {"factory.db"}
    assert not ports["docs/retrofit.md"] & (ports["README.md"] | ports["docs/factory.md"])
    assert "end the board and the cloud of the [README]" in (ROOT / "docs/factory.md").read_text()


# ---- ledger.md


def test_the_first_commands_of_the_guide_to_the_ledger_answer(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    [block, *_] = re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "docs/ledger.md").read_text(), re.DOTALL | re.MULTILINE
    )
    said = {}
    for line in block.splitlines():
        said[line] = shell.run(f"{line} || echo GAVE UP" if line.startswith("keystead") else line)
        assert "GAVE UP" not in said[line], said
        if line.startswith("keystead batch create"):
            with open_ledger(str(tmp_path / "factory.db")) as ledger:
                for number in range(1, 8):
                    ledger.reserve("mill-7", bytes((0xA0, 1, 2, 3, 4, number)), "esp32c3")
    assert "500" in said["keystead batch list"]
    assert "serial 0007" in said["keystead ledger show 0007"]
    assert "in order" in said["keystead ledger verify"]
