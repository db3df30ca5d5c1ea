"""Short names in what is compiled: shorter, and still the same program."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from host_tools import firmware
from host_tools.errors import CommandError
from host_tools.scopes import Source
from host_tools.shrink import FOREIGN, Shrinking, World, shrink
from host_tools.toolchain import micropython

ROOT = Path(__file__).parents[2]
PORTABLE = ROOT / "tests" / "portable"
SCRIPTS = sorted(path.stem for path in PORTABLE.glob("*.txt"))
LONG = '"a text of more than ten bytes"'


def one(text: str, *outside: str) -> str:
    """A module that is alone on its board."""
    return shrink({"m": text}, outside)["m"]


def run(text: str) -> dict[str, Any]:
    """What a module defines when CPython runs it as MicroPython would."""
    names: dict[str, Any] = {"const": lambda value: value}
    exec(compile(text, "m", "exec"), names)
    return names


# ---- constants


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("_A = 5  # why", "_A = const(5)  # why"),
        ("_A = -(3 << 4) | 0x0F", "_A = const(-(3 << 4) | 0x0F)"),
        ("_A = 2, 300", "_A = const((2, 300))"),
        ("_A = (\n    1,\n    2,\n)", "_A = const(((\n    1,\n    2,\n)))"),
        (f"_A = {LONG}", f"_A = const({LONG})"),
    ],
)
def test_a_private_constant_is_put_where_it_is_used(before: str, after: str) -> None:
    use = "\ndef f():\n    return _A\n"
    assert one(before + use) == after + use
    assert run(after + use)["f"]() == run(before + use)["f"]()


def test_constants_of_earlier_ones_are_constants_too() -> None:
    text = "_A = 60\n_B = _A * 60\n_C, _D = 1, _B + 1\nx = _C, _D\n"
    short = "_A = const(60)\n_B = const(_A * 60)\n_C = const(1); _D = const(_B + 1)\nx = _C, _D\n"
    assert one(text) == short


@pytest.mark.parametrize(
    "text",
    [
        "def x():\n    return _A\n_A = 5\n",  # the compiler reads from top to bottom
        "_A = 5\n_A = 6\nx = _A\n",
        "_A = 5\n_A += 1\nx = _A\n",
        "_A = 5\ndef f():\n    _A = 6\n    return _A\nx = _A, f()\n",
        "_A = 5\nx = _A, [_A for _A in range(3)]\n",
        f"_A = {LONG}\nx = _A, _A\n",  # it would be there twice
        "_A = 1 << 30\nx = _A + _A\n",
        "_A = (1, 2)\nx = _A is _A\n",
        "_A = {1: 2}\nx = _A\n",
        "_A = len('abc')\nx = _A\n",
        "_A = 7 / 2\nx = _A\n",
        "_A = True\nx = _A\n",
        "_A = _B = 5\nx = _A, _B\n",
        "(_A, _B), _C = (1, 2), 3\nx = _A, _B, _C\n",
        "_A, _B = (\n    1,\n    2,\n)\nx = _A, _B\n",
    ],
)
def test_what_is_none_or_would_be_there_twice_stays_a_variable(text: str) -> None:
    assert "const" not in one(text)
    before, after = run(text)["x"], run(one(text))["x"]
    assert before() == after() if callable(before) else before == after


def test_a_constant_that_another_module_wants_is_left_alone() -> None:
    text = "_A = 5\nx = _A\n"
    assert one(text, "from m import _A") == text
    assert one(text, "import m\nprint(m._A)") == text


# ---- names of a module


def test_private_names_get_short_ones_at_the_same_places() -> None:
    text = """
def g():
    return _größe(), '→', _state
def _größe(): return 1
_state = []
class _C: pass
"""
    short = text.replace("_größe", "_0").replace("_state", "_1").replace("_C", "_2")
    assert one(text) == short


def test_a_short_name_that_is_taken_is_not_given() -> None:
    text = "def _f():\n    _0 = 1\n    return _0\nx = _f()\n"
    assert one(text) == text.replace("_f", "_1")


@pytest.mark.parametrize(
    "use", ["from m import _f", "import m\nm._f()", 'getattr(m, "_f")', "from n import _f"]
)
def test_a_private_name_that_is_said_elsewhere_stays(use: str) -> None:
    text = "def _f(): pass\n"
    assert one(text, use) == text
    assert shrink({"m": text, "n": use})["m"] == text


@pytest.mark.parametrize(
    "text",
    [
        "def _f(): pass\nx = f'{_f}'\n",
        "def f():\n    global _a\n    _a = []\n",
        "import os as _os\n_os.sep\n",
        "try:\n    pass\nexcept OSError as _e:\n    print(_e)\n",
        "print(_a := [])\n",
        "def __f(): pass\n_ = []\n",
    ],
)
def test_a_name_that_is_bound_in_another_way_stays(text: str) -> None:
    assert one(text) == text


def test_modules_share_their_short_names() -> None:
    text = "def _f(): pass\n"
    assert set(shrink({"m": text, "n": text}).values()) == {"def _0(): pass\n"}


# ---- attributes

CLASS = """class A:
    def __init__(self): self._a = 1
    def f(self): return self._g()
    def _g(self): return self._a
"""


def test_private_attributes_and_methods_get_short_names() -> None:
    assert one(CLASS) == CLASS.replace("_a", "_0").replace("_g", "_1")
    assert run(one(CLASS))["A"]().f() == 1


def test_a_class_and_its_module_do_not_meet_in_a_name() -> None:
    text = """
def _f(): return 1
def _h(): return 2
def _k(): return 5
class A:
    def _a(self): return 3
    def _k(self): return 6
    b = _f
    c = _h
    _h = 4
    def g(self): return self.b(), self.c(), self._a(), self._h, _k(), self._k()
A.b = staticmethod(A.b)
A.c = staticmethod(A.c)
"""
    assert run(one(text))["A"]().g() == run(text)["A"]().g() == (1, 2, 3, 4, 5, 6)
    assert {"_f", "_a", "_k"}.isdisjoint(Source("m", one(text)).words)


@pytest.mark.parametrize(
    "use",
    [
        "b._a",
        "getattr(b, '_a')",
        "class B:\n    def f(self): A()._a",
        "def f(self): self._a",
    ],
)
def test_an_attribute_that_is_reached_from_elsewhere_stays(use: str) -> None:
    assert one(CLASS, use) == one(CLASS + use)[: -len(use)] == CLASS.replace("_g", "_0")


def test_an_attribute_that_an_application_may_inherit_stays() -> None:
    text = "from m import A\nclass B(A):\n    def f(self): self._a"
    assert one(CLASS, text) == CLASS.replace("_g", "_0")
    assert one(CLASS, text.replace("from m", "from n")) == one(CLASS)


def test_classes_of_one_family_do_not_meet_in_a_name() -> None:
    text = f"from m import A\nclass B(A):\n{CLASS[9:]}    def h(self): self._b = self._c = 2\n"
    text = text.replace("_a", "_d").replace("_g", "_h")
    short = shrink({"m": CLASS, "n": text, "o": CLASS})
    assert short["m"] == short["o"] == one(CLASS)
    assert set("0123456789") & set(short["n"]) == {"1", "2", "3", "4", "5"}


def test_what_a_relative_also_has_keeps_its_name() -> None:
    text = "from m import A\nclass B(A):\n    def h(self): return self._a\n"
    assert shrink({"m": CLASS, "n": text})["n"] == text
    assert shrink({"m": CLASS, "n": text})["m"] == CLASS.replace("_g", "_0")


@pytest.mark.parametrize("base", ["other.A", "f()", "A"])
def test_attributes_stay_where_a_base_class_is_not_known(base: str) -> None:
    text = (
        f"import other\nfrom elsewhere import A\nclass B({base}):\n    def f(self): self._a = 1\n"
    )
    assert one(text) == text


def test_what_a_foreign_base_class_has_stays() -> None:
    text = """
from umqtt import simple
class B(simple.MQTTClient):
    def f(self): self._a = self._recv_len()
    def _send_str(self): pass
"""
    assert one(text) == text.replace("_a", "_0")


def test_foreign_base_classes_have_the_private_names_that_are_written_down() -> None:
    tree = ast.parse((micropython.umqtt() / "umqtt" / "simple.py").read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    private = {name for name in names if name.startswith("_") and not name.startswith("__")}
    assert private == FOREIGN["umqtt.simple"]


# ---- parameters


def test_parameters_get_names_that_are_there_anyway() -> None:
    text = "def f(first, second=1, *rest): return first.near + second.far, rest, first.open\n"
    short = "def f(f, far=1, *near): return f.near + far.far, near, f.open\n"
    assert one(text) == short


def test_parameters_are_followed_into_what_is_inside() -> None:
    text = """
class A:
    def run(self, amount, word):
        def inner(other, word=word):
            return [amount * i + other for i in range(amount)], word, lambda word: (word, amount)
        return inner(amount, word)
def length(amount): return [amount for amount in [amount, amount + 1]]
"""
    short = one(text)
    assert "amount" not in short.partition("def length")[0]
    assert run(short)["A"]().run(2, "w")[:1] == run(text)["A"]().run(2, "w")[:1]
    assert run(short)["A"]().run(2, "w")[2](3) == (3, 2)
    assert run(short)["length"](1) == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "def f(first): return first\nf(first=1)\n",
        "def f(first, **rest): return first, rest\n",
        "def f(*, first): return first\n",
        "def f(first): return first\nf(**{})\n",
        "class f:\n    def __init__(self, first): self.x = first\nx.f(**{})\n",
        "def f(first):\n    def g():\n        nonlocal first\n    return g\n",
        "def f(first):\n    import first\n",
        "def f(first):\n    try:\n        pass\n    except OSError as first:\n        pass\n",
        "def f(first): return f'{first}'\n",
        "def f(near): return x.near\n",  # the word is there anyway
    ],
)
def test_a_parameter_that_may_be_named_or_can_not_be_followed_stays(text: str) -> None:
    assert one(text) == text


def test_a_parameter_that_an_application_names_stays() -> None:
    text = "def f(first): return first\n"
    assert one(text, "import m\nm.f(first=1)\n") == text
    assert shrink({"m": text}, (), {"m"})["m"] == shrink({"m": text}, (), {"m.f"})["m"] == text
    assert shrink({"m": text.replace("f(", "_f(", 1)}, (), {"m"})["m"].startswith("def _0(value)")


# ---- refused


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('once("m._f")\n', "m._f in a text is a private name"),
        ("def f():\n    return globals()\n", "m, line 2: globals\\(\\) sees names"),
        ("exec('x = 1')\n", "m, line 1: exec\\(\\) sees names"),
        ("def f(:\n", "m: invalid syntax"),
        ("\n".join(f"def _f{i}(): pass" for i in range(70)), "m has more names"),
    ],
)
def test_what_can_not_be_shrunk_is_refused(text: str, why: str) -> None:
    with pytest.raises(CommandError, match=why):
        one(text)


@pytest.mark.parametrize("new", ["len", "b", "1", "_0"])
def test_a_text_that_means_something_else_is_refused(new: str) -> None:
    world = World(
        {"m": "def f(a):\n    def g(): return a, b\n    return len(_h), g\n_h = []\n"}, (), ()
    )
    (source,) = world.sources
    shrinking = Shrinking(source, world)
    source.tree.body[0].args.args[0].arg = new  # type: ignore[attr-defined]  # as if meant so
    shrinking._edits = [edit for edit in shrinking._edits if edit[0] != 1]
    shrinking._edits.append((1, 6, 7, new.encode()))
    with pytest.raises(CommandError, match="shrunk, it"):
        shrinking.text()


# ---- the firmware


@pytest.fixture(scope="module")
def lib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flash")
    firmware.build(folder, {}, umqtt=True)
    write({}, folder / "lib")
    return folder / "lib"


def public(source: Source) -> set[str]:
    """What a module, and a class of it, has for others."""
    names = set(source.top.bound)
    for scope in source.scopes:
        if isinstance(scope.node, ast.ClassDef):
            names |= scope.bound
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", firmware.shrunk())
def test_a_module_keeps_its_lines_and_what_others_see(name: str) -> None:
    path = ROOT / "firmware" / Path(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text, short = file.read_text(), firmware.shrunk()[name]
    before, after = Source(name, text), Source(name, short)
    assert len(before.lines) == len(after.lines)
    assert [line.count(b"#") for line in before.lines] == [
        line.count(b"#") for line in after.lines
    ]
    assert public(before) == public(after)
    lines = [[scope.node.lineno for scope in source.scopes[1:]] for source in (before, after)]  # type: ignore[attr-defined]
    assert lines[0] == lines[1]


def test_a_traceback_shows_module_and_line(lib: Path) -> None:
    code = "from rim.stream import Stream\nclass S(Stream):\n    def __init__(self): pass\n"
    code += "s = S()\ns.start(0, 'x')\ns.left()"
    command = [*micropython.interpreter(32), "-c", code]
    said = subprocess.run(command, env={"MICROPYPATH": f"{lib}:.frozen"}, capture_output=True)
    lines = (ROOT / "firmware" / "rim" / "stream.py").read_text().splitlines()
    (line,) = (i for i, text in enumerate(lines, 1) if 'Failure("no-answer"' in text)
    assert f'File "rim.stream", line {line}, in left'.encode() in said.stderr


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("bits", [64, 32])
def test_what_is_compiled_does_the_same(script: str, bits: int, lib: Path) -> None:
    command = [*micropython.interpreter(bits), str(PORTABLE / f"{script}.py")]
    check_output(command, {"MICROPYPATH": f"{lib}:.frozen"}, PORTABLE / f"{script}.txt")


@pytest.mark.parametrize("bits", [64, 32])
def test_short_sources_take_the_same_packets(bits: int, tmp_path: Path) -> None:
    script = ROOT / "tests" / "rim" / "packets.py"
    write(shrink(firmware.modules(), [script.read_text()]), tmp_path)
    command = [*micropython.interpreter(bits), str(script)]
    path = f"{tmp_path}:{micropython.umqtt()}:.frozen"
    check_output(command, {"MICROPYPATH": path}, script.with_suffix(".txt"))


@pytest.mark.parametrize("script", ["sas_vectors", "registrations", "journals"])
def test_cpython_runs_short_sources_to_the_same_end(script: str, tmp_path: Path) -> None:
    write(firmware.shrunk(), tmp_path)
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.const = lambda x: x\n")
    command = [sys.executable, str(PORTABLE / f"{script}.py")]
    check_output(command, {"PYTHONPATH": str(tmp_path)}, PORTABLE / f"{script}.txt")


def write(sources: dict[str, str], folder: Path) -> None:
    for name, text in sources.items():
        package, _, stem = name.partition(".")
        (folder / package).mkdir(exist_ok=True)
        (folder / package / f"{stem or '__init__'}.py").write_text(text)
    for name in firmware.HOST_ONLY:  # scripts ask for them
        shutil.copy(ROOT / "firmware" / "keystead" / name, folder / "keystead")


def check_output(command: list[str], environment: dict[str, str], expected: Path) -> None:
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False
    )
    assert done.stderr == b""
    assert done.stdout.decode() == expected.read_text()
