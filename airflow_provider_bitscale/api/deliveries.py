"""Pure: webhook deliveries, from raw bytes to a finished run (API document, "Webhook Delivery").

The document says that a delivery is signed with HMAC-SHA256, and no more: how the signature is written, and
in which header, is left to :class:`WebhookSettings`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_bitscale.api.carriable import carriable, loads
from airflow_provider_bitscale.api.errors import BitScaleError, ConfigurationError
from airflow_provider_bitscale.api.models import Run
from airflow_provider_bitscale.api.parsing import parse_run
from airflow_provider_bitscale.api.run_answers import read_delivered_run

RUN_ID_HEADER = "X-BitScale-Run-Id"
SIGNATURE_HEADER = "X-BitScale-Signature"
SIGNATURE_ENCODINGS = ("hex", "base64")
MAX_BODY_BYTES = 1_048_576
# In characters: who has seen one delivery can try shorter keys of its signature until one fits.
SAFE_SECRET_LENGTH = 16

NO_SIGNATURE = "no_signature"
MALFORMED_SIGNATURE = "malformed_signature"
WRONG_SIGNATURE = "wrong_signature"
TOO_LARGE = "too_large"
NOT_JSON = "not_json"
NOT_A_RUN = "not_a_run"
OTHER_RUN_ID = "other_run_id"

_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=")
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9!#$%&'*+.^_|~-]*")


class DeliveryRefusedError(BitScaleError):
    """A delivery that is not authentic, or cannot be read; ``code`` says why."""


@dataclass(frozen=True)
class WebhookSettings:
    """How deliveries are signed.

    :param secret: the key of the signature.
    :param signature_header: where the signature is.
    :param signature_prefix: text before the signature, such as ``sha256=``.
    :param signature_encoding: ``hex`` or ``base64``; None to accept both.
    :raises ConfigurationError: naming every problem at once.
    """

    secret: str = field(repr=False)
    signature_header: str = SIGNATURE_HEADER
    signature_prefix: str = ""
    signature_encoding: str | None = None

    def __post_init__(self) -> None:
        problems = []
        if not self.secret:
            problems.append("webhook_secret is empty: deliveries could be signed by anybody")
        if not _TOKEN.fullmatch(self.signature_header):
            problems.append(f"webhook_signature_header {self.signature_header!r} is not the name of a header")
        if self.signature_encoding not in (None, *SIGNATURE_ENCODINGS):
            problems.append(
                f"webhook_signature_encoding must be {' or '.join(SIGNATURE_ENCODINGS)}, "
                f"not {self.signature_encoding!r}"
            )
        if problems:
            raise ConfigurationError("; ".join(problems))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes these settings unsafe, a sentence each."""
        if len(self.secret) >= SAFE_SECRET_LENGTH:
            return ()
        length = f"webhook_secret has fewer than {SAFE_SECRET_LENGTH} characters"
        return (f"{length}: who sees a delivery could guess it, and sign deliveries.",)


@dataclass(frozen=True)
class Delivery:
    """A verified delivery: a run that has ended.

    :param run: as a poll would tell it.
    :param payload: the JSON object as it came; but what was spelled otherwise is in the form of v1.1.0, and
        without values that Airflow does not carry: see ``api.carriable``.
    """

    run_id: str
    grid_id: str
    run: Run
    payload: Mapping[str, Any] = field(repr=False)


def verify_signature(
    body: bytes, signature: str | None, secret: str, *, prefix: str = "", encoding: str | None = None
) -> None:
    """Check the HMAC-SHA256 of a body, in constant time (API document, "Webhook Headers").

    :param body: as it came, byte for byte.
    :param signature: the header's value; None if there is none.
    :param prefix: text before the signature.
    :param encoding: ``hex`` or ``base64``; None to accept both.
    :raises DeliveryRefusedError: ``no_signature``, ``malformed_signature`` or ``wrong_signature``.
    """
    if signature is None:
        raise DeliveryRefusedError("the delivery is not signed", code=NO_SIGNATURE)
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    text = signature.strip()
    told = text.removeprefix(prefix)
    if not text.startswith(prefix):
        expected = None
    elif encoding != "base64" and _HEX.fullmatch(told):
        told, expected = told.lower(), digest.hex()
    elif encoding != "hex" and _BASE64.fullmatch(told):
        expected = base64.b64encode(digest).decode()
    else:
        expected = None
    if expected is None:
        raise DeliveryRefusedError("the signature is not written as it is expected", code=MALFORMED_SIGNATURE)
    if not hmac.compare_digest(told, expected):
        raise DeliveryRefusedError(
            "the signature is not that of this body and this secret", code=WRONG_SIGNATURE
        )


def parse_delivery(
    headers: Mapping[str, str], body: bytes, settings: WebhookSettings, *, max_bytes: int = MAX_BODY_BYTES
) -> Delivery:
    """Verify a delivery and read the run in it (API document, "Webhook Payload").

    The run is read as answers are (``api.run_answers``), however it is spelled.

    :param headers: of the request, in any case.
    :param body: as it came, byte for byte.
    :param max_bytes: a larger body is refused before anything is computed of it.
    :raises DeliveryRefusedError: saying which of the ways to fail it is; what is not rightly signed is not
        read any further.
    """
    if len(body) > max_bytes:
        raise DeliveryRefusedError(f"the body is larger than {max_bytes:,} bytes", code=TOO_LARGE)
    known = {name.lower(): value for name, value in headers.items()}
    verify_signature(
        body,
        known.get(settings.signature_header.lower()),
        settings.secret,
        prefix=settings.signature_prefix,
        encoding=settings.signature_encoding,
    )
    try:
        # As it came: an id that cannot be carried is none, and is not made another one.
        read = read_delivered_run(_json(body))
    except ValueError as problem:
        raise DeliveryRefusedError(f"the body is not to be understood: {problem}", code=NOT_A_RUN) from None
    payload = carriable(read.raw)
    run = replace(parse_run(payload), unexpected=read.unexpected)
    if known.get(RUN_ID_HEADER.lower()) != run.run_id:
        raise DeliveryRefusedError(f"{RUN_ID_HEADER} and the body name different runs", code=OTHER_RUN_ID)
    return Delivery(str(run.run_id), str(run.grid_id), run, payload)


def written_delivery(run: Run, settings: WebhookSettings) -> tuple[dict[str, str], bytes]:
    """Return the headers and body of a delivery, signed as :func:`parse_delivery` expects it.

    :param run: one that has ended, with its id and its grid's.
    """
    body = json.dumps(run.to_json()).encode()
    digest = hmac.new(settings.secret.encode(), body, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode() if settings.signature_encoding == "base64" else digest.hex()
    headers = {
        "Content-Type": "application/json",
        RUN_ID_HEADER: str(run.run_id),
        settings.signature_header: settings.signature_prefix + signature,
    }
    return headers, body


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except ValueError as problem:
        raise DeliveryRefusedError(f"the body is not JSON: {problem}", code=NOT_JSON) from None
