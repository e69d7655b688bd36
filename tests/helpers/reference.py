"""Slow, plain oracles for what `fastsmtp._parse` and `mime._fields` do in C: nothing clever."""

from __future__ import annotations

CRLF = b"\r\n"


class DataDecoder:
    """Dot-unstuffing and the end of mail data (RFC 5321 section 4.5.2), same interface as `_parse.DataDecoder`."""

    def __init__(self) -> None:
        self._before = CRLF  # the last two octets of mail data; it begins at the start of a line
        self._held = b""  # octets that may be the start of CRLF.CRLF

    def feed(self, buf: bytearray, start: int, end: int) -> tuple[int, int, int, bool]:
        out = b""
        for position in range(start, end):
            self._held += bytes(buf[position : position + 1])
            if self._before == CRLF:
                if self._held == b"." + CRLF:
                    return (*self._write(buf, start, position + 1, out), position + 1, True)
                if self._held in (b".", b".\r"):
                    continue
                if self._held[:1] == b".":
                    self._held = self._held[1:]
            out += self._held
            self._before = (self._before + self._held)[-2:]
            self._held = b""
        return (*self._write(buf, start, end, out), end, False)

    @staticmethod
    def _write(buf: bytearray, start: int, stop: int, out: bytes) -> tuple[int, int]:
        # Octets that were held may come out together with a new one: then there is one more than was fed.
        out_start = start - max(0, len(out) - (stop - start))
        buf[out_start : out_start + len(out)] = out
        return out_start, out_start + len(out)


FIELD_NAME = set(range(0x21, 0x7F)) - {ord("=")}  # what a field name may have without a further look at it


def split_fields(block: bytes, limit: int) -> list[tuple[str, str]] | None:
    """`mime._fields.split_fields`, by the methods of str."""
    if not block.isascii():
        return None
    text = block.decode("ascii")
    line_end = "\r\n" if text.endswith("\r\n\r\n") else "\n"
    if not text.endswith(line_end * 2):
        return None
    text = text.removesuffix(line_end * 2).replace(f"{line_end} ", " ").replace(f"{line_end}\t", "\t")
    lines = text.split(line_end)
    fields = [line.partition(":") for line in lines]
    well_formed = all(colon and name and set(map(ord, name)) <= FIELD_NAME for name, colon, _ in fields)
    well_formed = well_formed and not any(value.startswith("//") for _, _, value in fields)
    if not well_formed or any(set(line) & set("\r\n\0") for line in lines):
        return None
    return [(name, value.strip(" \t")) for name, _, value in fields][:limit]


def take_line(buf: bytearray, start: int, end: int) -> tuple[str | None, int]:
    """`_parse.take_line`, by the methods of bytes."""
    feed = buf.find(b"\n", start, end)
    if feed < 0:
        return None, -1
    line = bytes(buf[start : feed + 1])
    usual = line.endswith(CRLF) and line.count(b"\r") == 1 and line.isascii()
    return line.removesuffix(CRLF).decode() if usual else None, feed + 1
