"""Names for parts without one: which extension fits a media type."""

from __future__ import annotations

import pytest

from fastsmtp.mime.extensions import extension_of

EXTENSIONS = {
    ".7z": ["application/x-7z-compressed"],
    ".asc": ["application/pgp-signature", "application/pgp-keys"],
    ".bin": ["application/octet-stream", "application/x-none", "image/x-none", "x/y", "x" * 5000],
    ".csv": ["text/csv", "application/csv"],
    ".dat": ["application/ms-tnef", "application/vnd.ms-tnef"],
    ".doc": ["application/msword"],
    ".docx": ["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
    ".eml": ["message/rfc822", "message/global"],
    ".gif": ["image/gif"],
    ".gz": ["application/gzip", "application/x-gzip"],
    ".heic": ["image/heic"],
    ".html": ["text/html", "text/x-amp-html"],
    ".ics": ["text/calendar", "application/ics"],
    ".jpg": ["image/jpeg", "image/jpg", "image/pjpeg"],
    ".json": ["application/json", "application/ld+json"],
    ".md": ["text/markdown"],
    ".mp3": ["audio/mpeg", "audio/mp3"],
    ".odt": ["application/vnd.oasis.opendocument.text"],
    ".p7m": ["application/pkcs7-mime", "application/x-pkcs7-mime"],
    ".p7s": ["application/pkcs7-signature", "application/x-pkcs7-signature"],
    ".pdf": ["application/pdf"],
    ".png": ["image/png"],
    ".pptx": ["application/vnd.openxmlformats-officedocument.presentationml.presentation"],
    ".rar": ["application/vnd.rar", "application/x-rar-compressed"],
    ".rtf": ["text/rtf", "application/rtf"],
    ".svg": ["image/svg+xml"],
    ".tif": ["image/tiff"],
    ".txt": [
        "text/plain", "text/enriched", "text/rfc822-headers", "text/x-log", "message/delivery-status",
        "message/disposition-notification", "message/feedback-report",
    ],
    ".vcf": ["text/vcard", "text/x-vcard", "text/directory"],
    ".wav": ["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"],
    ".webp": ["image/webp"],
    ".xlsx": ["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
    ".xml": ["application/xml", "text/xml", "application/atom+xml"],
    ".zip": ["application/zip", "application/x-zip-compressed", "application/x-zip", "application/lottie+zip"],
}  # fmt: skip


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_extension_that_fits(extension: str) -> None:
    assert {media_type: extension_of(media_type) for media_type in EXTENSIONS[extension]} == dict.fromkeys(
        EXTENSIONS[extension], extension
    )
