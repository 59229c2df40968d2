"""Errors that are the user's to mend: one line that says what, where and the cure."""


class UsageError(ValueError):
    """A request that cannot be met, or input that cannot be read; ends a command with exit code 2."""
