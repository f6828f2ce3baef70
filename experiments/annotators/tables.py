"""Tables from the committed results."""


def write() -> None:
    """Fills the pages."""
