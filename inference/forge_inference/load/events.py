"""Server-sent events out of pieces of bytes that end anywhere."""

LONGEST = 2**20  # bytes of a line; what is longer is no stream of tokens


class Garbage(Exception):
    """What the server sent is not what its API promises; the message shows the beginning of it."""


class Events:
    """Feed it bytes; it gives the `data` of events that are complete. Comments and other fields are skipped."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def fed(self, piece: bytes) -> list[str]:
        """Raises Garbage for what is not UTF-8, or a line that does not end."""
        # A carriage return may be the first half of a line's end: it is looked at with what follows.
        whole = self._rest + piece
        held = whole.endswith(b"\r")
        lines = (whole[:-1] if held else whole).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + (b"\r" if held else b"")
        if len(self._rest) > LONGEST:
            raise Garbage(f"a line of more than {LONGEST} bytes: {self._rest[:80]!r}…")
        return [data for line in lines if (data := self._line(line)) is not None]

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            try:
                self._data.append(value.removeprefix(b" ").decode())
            except UnicodeDecodeError as error:
                raise Garbage(f"not UTF-8: {line[:80]!r}") from error
        elif name not in (b"", b"event", b"id", b"retry"):
            raise Garbage(f"no server-sent event: {line[:80]!r}")
        return None
