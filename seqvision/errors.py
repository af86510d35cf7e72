"""The one exception that means: the user can put this right."""


class UserError(Exception):
    """One line that names the thing, what was found, what is allowed and what to do.

    `main.py` prints it without a traceback and exits with code 2.
    """
