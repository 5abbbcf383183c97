"""The one error a user's mistake becomes."""


class Refused(ValueError):
    """A file or a value that cannot be used.

    The message is one line that names the file or the value, says what is wrong with it and what
    to do about it, and is shown to the user as it stands.
    """


class Interrupted(Exception):
    """The caller asked a long piece of work to stop; the same call again goes on from there."""
