"""The one error that a user can mend."""


class InputError(Exception):
    """Something given to the project cannot be used; the message says what, what is allowed, and the way out."""
