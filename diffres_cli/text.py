"""Text from outside (file names, labels, a model's metadata) made fit to print."""

STDIN = "-"  # as a file name: standard input


def printable(text: str) -> str:
    r"""A name or label on one line, as anyone can read it: control characters and stray bytes escaped.

    >>> printable("rain\n.wav"), printable("caf\udce9.wav"), printable("-")
    ('rain\\n.wav', 'caf\\xe9.wav', 'standard input')
    """
    if text == STDIN:
        return "standard input"
    return "".join(map(_printable, text)) or "''"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # how Python carries a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
