"""The one sentence that a person gets instead of a traceback."""


class LocalProblemError(Exception):
    """Something on this machine is in the way; the message is one sentence that says what to do."""
