"""The log of the real firmware: what outlives a reset can be asked for from afar."""

import json

from tests.emulator.board_bench import FAST, Life, story
from tests.emulator.conftest import MakeBoard

# hangs when it is started for the first time; it need not take the watchdog five minutes to bite
APP = """
import machine, os
def run(device):
    if "hung" not in os.listdir():
        open("hung", "w").close()
        print("hangs")
        machine.WDT(timeout=1000)
        while True: pass
    print("ready")
    while True: device.wait(60)
"""


def test_the_lines_before_the_watchdog_bit_are_told_afterwards(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        async with life.on():
            await life.said("(the board is off)")
        assert life.board.bitten
        before = [line for line in life.lines if line.startswith("[")]
        life.lines.clear()
        async with life.on():
            await life.said("ready")
            status, answer = await life.call("keystead*log", {"lines": 50})
        assert status == 200
        assert isinstance(answer, dict)
        kept = answer["lines"]
        mark = kept.index("--- reset 3 ---")
        assert mark > 1
        assert kept[:mark] == before[-mark:]
        assert "FAILURE 13 watchdog" in "\n".join(kept[mark:])
        # what was printed around it, by an application for instance, is not the log's
        assert "hangs" not in kept

    story(make_board, APP, script)


def test_a_configured_level_keeps_the_console_quiet(make_board: MakeBoard) -> None:
    async def script(life: Life) -> None:
        file = life.board.flash / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "log": "error"}))
        async with life.on():
            await life.said("what to do", 2)
        # a third failure may have followed before the power went
        second = [number for number, line in enumerate(life.lines) if "what to do" in line][1]
        told = "\n".join(life.lines[: second + 1])
        assert "hub: connected" not in told
        assert "next start" not in told
        for text in ("FAILURE 92 app-broken", 'File "app.py", line 1, in run', "what happened"):
            assert told.count(text) == 2

    story(make_board, "def run(device): 1 / 0", script, speed=FAST)
