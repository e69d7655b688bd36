"""Documents in JSON or YAML beside the configuration, of plain values."""

from __future__ import annotations

from typing import Any, Final

import yaml

from fastsmtp.config.nodes import LOADER

MAX_DOCUMENT_BYTES: Final = 256 * 1024


def read_document(octets: bytes) -> Any:
    """Return the document, None for an empty one. Raises ValueError with what is wrong and where.

    References (`*name`) are not taken: a document of a hundred octets could be one of gigabytes.
    """
    if len(octets) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"longer than {MAX_DOCUMENT_BYTES // 1024} KB")
    try:
        for event in yaml.parse(octets, LOADER):
            if isinstance(event, yaml.AliasEvent):
                mark = event.start_mark
                raise ValueError(f"line {mark.line + 1 if mark is not None else '?'}: references are not taken")
        return yaml.load(octets, LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{place}{error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from None
