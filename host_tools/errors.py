"""What a person did or met and can mend: one line on stderr, exit code 1."""


class CommandError(Exception):
    """The command can not go on; the message says why and what to do, in one line."""
