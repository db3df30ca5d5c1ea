"""`python3 -m host_tools.toolchain`: set up what is missing, with nothing but Python itself.

The first lines must run on any Python 3, to say that it is too old.
"""

import sys

OLDEST = (3, 11)


def main(words: "list[str]") -> int:
    """Set up; return the exit code."""
    if sys.version_info < OLDEST:
        print(_too_old(), file=sys.stderr)
        return 1
    from host_tools.toolchain import command

    return command.run(words)


def _too_old() -> str:
    here = "%d.%d (%s)" % (sys.version_info[0], sys.version_info[1], sys.executable)
    return (
        "set-up: Keystead needs Python 3.11 or later; this is %s: "
        "name another one, as in `make setup PYTHON=python3.12`" % here
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
