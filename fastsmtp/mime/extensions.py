"""A media type -> the file name extension that fits it, from fixed tables: nothing of it is ever from the wire."""

from __future__ import annotations

import mimetypes
from functools import lru_cache
from typing import Final

_UNKNOWN: Final = ".bin"
_CACHED_LENGTH: Final = 160  # characters of the longest type that is looked up; the longest registered one has 127

# What mail has and Python's table lacks, knows from some version on, or calls otherwise: registered extensions, and
# the names that types have in the field. extension -> media types
_MAIL: Final[dict[str, str]] = {
    ".7z": "application/x-7z-compressed",
    ".aac": "audio/aac audio/x-aac",
    ".amr": "audio/amr",
    ".asc": "application/pgp-signature application/pgp-keys",
    ".bz2": "application/x-bzip2 application/x-bzip application/bzip2",
    ".csv": "text/csv application/csv text/x-csv text/comma-separated-values",
    ".dat": "application/ms-tnef application/vnd.ms-tnef",
    ".docm": "application/vnd.ms-word.document.macroenabled.12",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".dotx": "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
    ".eml": "message/rfc822 message/global message/news application/eml",
    ".epub": "application/epub+zip",
    ".gif": "image/gif",
    ".gz": "application/gzip application/x-gzip application/gzip-compressed application/x-gunzip",
    ".heic": "image/heic image/heif",
    ".html": "text/html text/x-amp-html application/xhtml+xml",
    ".ico": "image/vnd.microsoft.icon image/x-icon image/ico",
    ".ics": "text/calendar application/ics text/x-vcalendar",
    ".jpg": "image/jpeg image/jpg image/pjpeg image/x-jpeg image/x-jpg",
    ".js": "text/javascript application/javascript application/x-javascript",
    ".json": "application/json text/json",
    ".key": "application/vnd.apple.keynote application/x-iwork-keynote-sffkey",
    ".m4a": "audio/mp4 audio/x-m4a audio/m4a",
    ".md": "text/markdown text/x-markdown",
    ".mp3": "audio/mpeg audio/mp3 audio/x-mp3 audio/mpeg3",
    ".mp4": "video/mp4",
    ".msg": "application/vnd.ms-outlook",
    ".numbers": "application/vnd.apple.numbers application/x-iwork-numbers-sffnumbers",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ogg": "audio/ogg video/ogg application/ogg",
    ".p7m": "application/pkcs7-mime application/x-pkcs7-mime",
    ".p7s": "application/pkcs7-signature application/x-pkcs7-signature",
    ".pages": "application/vnd.apple.pages application/x-iwork-pages-sffpages",
    ".pdf": "application/pdf application/x-pdf text/pdf",
    ".pem": "application/x-pem-file application/pem-certificate-chain",
    ".pgp": "application/pgp-encrypted application/pgp",
    ".pkpass": "application/vnd.apple.pkpass",
    ".png": "image/png image/x-png",
    ".potx": "application/vnd.openxmlformats-officedocument.presentationml.template",
    ".ppsx": "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
    ".pptm": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rar": "application/vnd.rar application/x-rar-compressed application/x-rar application/rar",
    ".rtf": "text/rtf application/rtf text/richtext application/x-rtf",
    ".svg": "image/svg+xml",
    ".tar": "application/x-tar application/tar",
    ".tgz": "application/x-compressed-tar application/x-gtar application/x-tgz",
    ".tif": "image/tiff image/tif image/x-tiff",
    ".tsv": "text/tab-separated-values",
    ".vcf": "text/vcard text/x-vcard text/directory application/vcard",
    ".wav": "audio/wav audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav",
    ".webm": "video/webm audio/webm",
    ".webp": "image/webp",
    ".xls": "application/vnd.ms-excel application/msexcel application/x-msexcel",
    ".xlsb": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    ".xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xltx": "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
    ".xml": "application/xml text/xml application/xml-external-parsed-entity",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml application/x-yaml text/yaml text/x-yaml",
    ".zip": "application/zip application/x-zip-compressed application/x-zip application/zip-compressed multipart/x-zip",
    ".zst": "application/zstd application/x-zstd",
}
_EXTENSIONS: Final = {media_type: extension for extension, types in _MAIL.items() for media_type in types.split()}
# The table that comes with Python, not the machine's: a name must not depend on where the server runs.
_PYTHON: Final = mimetypes.MimeTypes(filenames=())
_SUFFIXES: Final = {"xml": ".xml", "json": ".json", "zip": ".zip", "gzip": ".gz"}  # RFC 6838 section 4.2.8
# Reports and their headers (delivery-status, rfc822-headers, feedback-report) and every other text: people can read it.
_READABLE: Final = frozenset({"text", "message"})


@lru_cache(maxsize=256)
def _look_up(media_type: str) -> str:
    found = _EXTENSIONS.get(media_type) or _PYTHON.guess_extension(media_type)
    if found is not None:
        return found
    kind, _, subtype = media_type.partition("/")
    return _SUFFIXES.get(subtype.rpartition("+")[2] if "+" in subtype else "") or (
        ".txt" if kind in _READABLE else _UNKNOWN
    )


def extension_of(media_type: str) -> str:
    """The extension, with its dot, for a media type in lower case; `.bin` where nothing is known of it."""
    return _look_up(media_type) if len(media_type) <= _CACHED_LENGTH else _UNKNOWN
