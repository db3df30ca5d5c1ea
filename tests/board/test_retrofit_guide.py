"""The commands of docs/retrofit.md, run as a reader would, print what is shown."""

from pathlib import Path

from tests.test_readme import ANY, Shell, commands, loose, place, until

PAGE = "docs/retrofit.md"


def test_the_guide_to_retrofits_prints_what_is_shown(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    page = commands(PAGE)
    [board] = [one for one in page if one.words.startswith("keystead board")]
    others = [one for one in page if one is not board]
    with shell.started(board.words.replace("127.0.0.1:4020", ANY)) as on:
        [said] = until(on, "socket://")
        assert [loose(said)] == [loose(text) for text in board.output]
        port = place(said)
        for command in others:
            printed = shell.run(command.words.replace("127.0.0.1:4020", port)).splitlines()
            shown = [loose(text) for text in command.output]
            at = [loose(text) for text in printed]
            assert at[: len(shown)] == shown, (command.words, printed)
    assert (tmp_path / "keystead-backup-a0b1c2d3e4f5.tar").is_file()
