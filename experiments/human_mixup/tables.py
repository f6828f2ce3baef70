"""Tables and the figure from the results files, into README.md."""


def write() -> None:
    """Rebuilds them."""
