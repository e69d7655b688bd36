"""Where a document of a client is not what its type says."""

from __future__ import annotations

import msgspec


def misfit(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return the JSON pointer (RFC 6901) to what is wrong, "" for the whole document, and what is wrong with it.

    msgspec says both in one text: "Expected `int`, got `str` - at `$.quota.mails`".
    """
    wrong, _at, path = str(error).rpartition(" - at `$")
    if not wrong:
        return "", str(error)
    names = path.rstrip("`").replace("[", ".").replace("]", "").split(".")
    return "/".join(names), wrong
