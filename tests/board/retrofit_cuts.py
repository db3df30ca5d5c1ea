# The scripts of a retrofit on LittleFS whose power goes at each write in turn (MicroPython).
# Reads their texts from stdin; prints a line for each, and each cut that was not made good.
import json
import os
import sys

import vfs

texts = json.load(sys.stdin)
SIZE, BLOCK = 48, 4096
OLD = {
    "/main.py": "old main", "/boot.py": "old boot", "/data": "x" * 3000,
    "/lib/keystead/sas.py": "old source", "/lib/own.py": "own",
}  # fmt: skip
NEW = {
    "/main.py": "new main", "/boot.py": "new boot", "/lib/keystead/sas.mpy": "m" * 700,
    "/certs/root.der": "root",
}  # fmt: skip


class Disk:
    def __init__(self, data, left=-1):
        self.data, self.left, self.writes = data, left, 0

    def _write(self):
        if self.writes == self.left:
            raise OSError(5)  # no power
        self.writes += 1

    def readblocks(self, block, buffer, offset=0):
        at = block * BLOCK + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        self._write()
        at = block * BLOCK + offset
        self.data[at : at + len(buffer)] = buffer

    def ioctl(self, request, argument):
        if request == 6:
            self._write()
            self.data[argument * BLOCK : (argument + 1) * BLOCK] = b"\xff" * BLOCK
        return SIZE if request == 4 else BLOCK if request == 5 else 0


def mounted(disk):
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(disk), "/")


def run(name):
    exec(texts[name], {"__name__": "__main__"})


def put(path, text):
    at = path.find("/", 1)
    while at > 0:
        if path[1:at] not in os.listdir(path[: path.rfind("/", 0, at)] or "/"):
            os.mkdir(path[:at])
        at = path.find("/", at + 1)
    with open(path, "w") as file:
        file.write(text)


def tree(folder=""):
    found = {}
    for name, kind, *_ in os.ilistdir(folder or "/"):
        path = folder + "/" + name
        if kind & 0x4000:
            found.update(tree(path))
        else:
            with open(path) as file:
                found[path] = file.read()
    return found


def image(*steps):
    """A disk on which so much has been done."""
    data = bytearray(b"\xff" * SIZE * BLOCK)
    vfs.VfsLfs2.mkfs(Disk(data))
    mounted(Disk(data))
    for path, text in OLD.items():
        put(path, text)
    for path, text in NEW.items():
        put(texts["new"] + path, text)
    order = sorted(NEW, key=lambda path: (path != "/main.py", path))  # as Plan.order() has it
    lines = ["+ " + path for path in order] + ["- /lib/keystead/sas.py"]
    put(texts["marker"], "\n".join(["keep"] + lines) + "\n")  # noqa: RUF005
    for step in steps:
        run(step)
    return data


def is_whole(found):
    """Whether all is there that main.py would start with, should the board start now."""
    main = found.get("/main.py")
    files = NEW if main == NEW["/main.py"] else OLD
    return main is None or all(found.get(path) == text for path, text in files.items())


def cut(name, start, recover, wanted):
    """Cut a script at each of its writes; recover, until that says it is done; compare."""
    disk = Disk(bytearray(start))
    mounted(disk)
    run(name)
    count = disk.writes
    wrong = 0
    for left in range(count):
        data = bytearray(start)
        mounted(Disk(data, left))
        try:
            run(name)
        except OSError as error:
            assert error.errno == 5, error
        mounted(Disk(data))
        whole = is_whole(tree())
        recover()
        if tree() != wanted or not whole:
            wrong += 1
            print("cut", left, "of", name, tree())
    print(name, "cut at", count, "writes, wrong:", wrong)


def undo():
    if texts["marker"][1:] in os.listdir("/"):
        run("undo")


def tidy():
    if texts["done"][1:] in os.listdir("/"):
        run("clean")


ready = {texts["new"] + path: text for path, text in NEW.items()}
as_before = dict(OLD, **ready)
after = dict(OLD, **NEW)
del after["/lib/keystead/sas.py"]
for path in ("/main.py", "/boot.py", "/lib/keystead/sas.py"):
    after[texts["before"] + path] = OLD[path]
vfs.umount("/")
vfs.mount(vfs.VfsLfs2.mkfs(Disk(bytearray(SIZE * BLOCK))) or vfs.VfsPosix(), "/")
cut("switch", image(), undo, as_before)
cut("undo", image("switch"), undo, as_before)
cut("clean", image("switch", "commit"), tidy, after)
