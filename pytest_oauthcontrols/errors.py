"""What every error of this package has in common."""


class OAuthControlsError(Exception):
    """A file, an org or an option that cannot be used.

    The message is one line that names it and says what to do. A run that meets one ends with exit code 4.
    """
