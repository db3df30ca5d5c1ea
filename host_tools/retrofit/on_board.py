"""The code that a retrofit runs on a board: moves that can be undone, whenever they are cut off.

Owns the texts. They are MicroPython for its REPL, and name nothing that 1.24 lacks. The marker's
first line is "keep" or "drop" (what becomes of the old files), then a line a path: "+" for one
that is new, "-" for one that has to go. For each path where its files lie says how far it is.
"""

from host_tools.retrofit.plan import BEFORE, DONE, MAIN, MARKER, NEW, OLD

_COMMON = f"""\
import os
_NEW, _OLD, _MARKER, _DONE = {NEW!r}, {OLD!r}, {MARKER!r}, {DONE!r}
def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False
def _make_folders(path):
    at = path.find("/", 1)
    while at > 0:
        if not _exists(path[:at]):
            os.mkdir(path[:at])
        at = path.find("/", at + 1)
def _move(old, new):
    if _exists(old):
        _make_folders(new)
        os.rename(old, new)
def _paths():
    with open(_MARKER) as file:
        file.readline()
        for line in file:
            yield line[0], line[2:].rstrip("\\n")
def _remove(path):
    if _exists(path):
        if os.stat(path)[0] & 0x4000:
            for entry in list(os.ilistdir(path)):
                _remove(path + "/" + entry[0])
            os.rmdir(path)
        else:
            os.remove(path)
"""
# the old main.py goes first and the new one comes last: between them nothing is started
SWITCH = f"""{_COMMON}
for _kind, _path in _paths():
    if (_kind == "-" or _exists(_NEW + _path)) and not _exists(_OLD + _path):
        _move(_path, _OLD + _path)
for _kind, _path in _paths():
    if _kind == "+" and _path != {MAIN!r}:
        _move(_NEW + _path, _path)
_move(_NEW + {MAIN!r}, {MAIN!r})
"""
UNDO = f"""{_COMMON}
for _kind, _path in _paths():
    if _kind == "+" and not _exists(_NEW + _path):
        _move(_path, _NEW + _path)
for _kind, _path in _paths():
    if _path != {MAIN!r}:
        _move(_OLD + _path, _path)
_move(_OLD + {MAIN!r}, {MAIN!r})
_remove(_OLD)
os.remove(_MARKER)
"""
FORGET_NEW = f"{_COMMON}\n_remove(_NEW)\n"
COMMIT = f"import os\nos.rename({MARKER!r}, {DONE!r})"
CLEAN = f"""{_COMMON}
with open(_DONE) as _file:
    _keep = _file.readline().strip() == "keep"
if _keep and _exists(_OLD):
    _aside = {BEFORE!r}
    while _exists(_aside):
        _aside += "-"
    os.rename(_OLD, _aside)
_remove(_OLD)
_remove(_NEW)
os.remove(_DONE)
"""
MARKERS = f"{_COMMON}\nprint(_exists(_MARKER), _exists(_DONE), _exists(_NEW))"
# MicroPython looks at sys.path before it takes its own modules, but for sys
ONLY_BUILT_IN = """\
import sys
sys.path[:] = [_path for _path in sys.path if _path.lstrip("/")[:1] == "."]
for _name in {names}:
    _module = sys.modules.get(_name)
    _file = getattr(_module, "__file__", "") or ""
    if (_file or hasattr(_module, "__path__")) and _file[:2] != "/.":
        del sys.modules[_name]
"""
HASHES = f"""{_COMMON}
import binascii, hashlib
def _hashes(root, paths):
    buffer = memoryview(bytearray(512))
    for path in paths:
        if _exists(root + path):
            digest = hashlib.sha256()
            with open(root + path, "rb") as file:
                while True:
                    size = file.readinto(buffer)
                    if not size:
                        break
                    digest.update(buffer[:size])
            print(binascii.hexlify(digest.digest()).decode(), path)
"""
FOLDERS = f"{_COMMON}\nfor _path in {{paths!r}}:\n    _make_folders(_path)\n"

# NVS: "retrofit" is 1 if there was no record before, 2 if it is in "record-old"
_NVS = """\
import binascii, esp32, hashlib
_nvs = esp32.NVS("keystead")
def _get(key):
    buffer = bytearray(2048)
    try:
        return bytes(memoryview(buffer)[: _nvs.get_blob(key, buffer)])
    except OSError as error:
        if error.args[0] != -4354:
            raise
def _state():
    try:
        return _nvs.get_i32("retrofit")
    except OSError:
        return 0
def _erase(key):
    try:
        _nvs.erase_key(key)
    except OSError as error:
        if error.args[0] != -4354:
            raise
"""
TELL_RECORD = f"""{_NVS}
def _tell():
    record = _get("record")
    if record is None:
        return None
    texts = []
    at = 12
    for _ in range(2):
        size = record[at] if at < len(record) else 0
        texts.append(record[at + 1 : at + 1 + size])
        at += 1 + size
    return record[:2], record[6:12], texts[0], texts[1], hashlib.sha256(record).digest()
print(repr(_tell()))
"""
KEEP_RECORD = f"""{_NVS}
if not _state():
    _old = _get("record")
    if _old is not None:
        _nvs.set_blob("record-old", _old)
    _nvs.set_i32("retrofit", 1 if _old is None else 2)
    _nvs.commit()
    _old = None
"""
WRITE_RECORD = '_nvs.set_blob("record", binascii.a2b_base64("{}"))\n_nvs.commit()'
UNDO_RECORD = f"""{_NVS}
_was = _state()
if _was == 2 and _get("record-old") is not None:
    _nvs.set_blob("record", _get("record-old"))
if _was == 1:
    _erase("record")
_nvs.commit()
_erase("retrofit")
_erase("record-old")
_nvs.commit()
"""
FORGET_RECORD = f"""{_NVS}
_erase("record-old")
_erase("retrofit")
_nvs.commit()
"""
