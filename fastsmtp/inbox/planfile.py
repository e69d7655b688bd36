"""Fault plans as they can be used in this server, from documents and from the file that the configuration names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from fastsmtp.config.documents import read_document
from fastsmtp.config.settings import SMTPSettings
from fastsmtp.errors import StartError
from fastsmtp.faults.plan import FaultPlan
from fastsmtp.faults.question import PlanError


def has_tls(smtp: SMTPSettings) -> bool:
    """Whether clients can ask for TLS anywhere."""
    return any(listener.tls is not None and listener.tls.cert for listener in smtp.listeners().values())


def read_plan(document: Any, *, tls: bool) -> FaultPlan:
    """Return the plan that a document describes. Raises PlanError, also where it could have no effect here."""
    plan = FaultPlan(document)
    for at, rule in enumerate(plan.rules):
        if rule.stages <= {"starttls", "tls"} and not tls:
            raise PlanError(f"/rules/{at}/when/at", "no listener has a certificate: there is no TLS")
        wants_certificate = any(action is not None and action.certificate for action in rule.actions)
        if wants_certificate and importlib.util.find_spec("cryptography") is None:
            raise PlanError(f"/rules/{at}/do/tls", "it needs the package cryptography")
    return plan


def load_plan(smtp: SMTPSettings) -> FaultPlan | None:
    """Return the plan of `smtp.faults`, None without one. Raises StartError."""
    path = smtp.faults
    if not path:
        return None
    try:
        return read_plan(read_document(Path(path).read_bytes()), tls=has_tls(smtp))
    except OSError as error:
        raise StartError(f"smtp.faults: {path} cannot be read: {error.strerror}") from None
    except (PlanError, ValueError) as error:
        raise StartError(f"smtp.faults: {path}: {error}") from None
