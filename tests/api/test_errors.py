"""From an answer to the error it stands for."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.api.error_answers import from_response
from airflow_provider_bitscale.api.errors import BitScaleError
from airflow_provider_bitscale.api.parsing import parse_run

REQUEST = "GET /grids/grid_001"


def body(code: Any = None, message: Any = "what went wrong", **more: Any) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}, **more}).encode()


def error_of(status: int, content: bytes = b"", **headers: str) -> BitScaleError:
    error = from_response(
        REQUEST, status, {k.replace("_", "-"): v for k, v in headers.items()}, content, now=0
    )
    assert error is not None
    return error


CODES = {
    "INVALID_API_KEY": errors.AuthenticationError,
    "WORKSPACE_NOT_FOUND": errors.NotFoundError,
    "GRID_NOT_FOUND": errors.NotFoundError,
    "MISSING_REQUIRED_FIELD": errors.InvalidRequestError,
    "INVALID_COLUMN_TYPE": errors.InvalidRequestError,
    "RUN_LIMIT_EXCEEDED": errors.RunLimitExceededError,
    "INSUFFICIENT_CREDITS": errors.InsufficientCreditsError,
    "WEBHOOK_DELIVERY_FAILED": errors.InvalidRequestError,
}
STATUSES = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    402: errors.InsufficientCreditsError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    405: errors.InvalidRequestError,
    408: errors.TransportError,
    422: errors.InvalidRequestError,
    425: errors.TransportError,
    429: errors.RateLimitedError,
    500: errors.ServerError,
    502: errors.ServerError,
    503: errors.ServerError,
    599: errors.ServerError,
    301: errors.TransportError,
    308: errors.TransportError,
    100: errors.ServerError,
}


@pytest.mark.parametrize("status", [200, 201, *STATUSES])
@pytest.mark.parametrize(("code", "kind"), CODES.items())
def test_a_documented_code_decides_whatever_the_status(code: str, kind: type, status: int) -> None:
    error = error_of(status, body(code))
    assert type(error) is kind
    assert (error.status, error.code, error.message, error.request) == (
        status,
        code,
        "what went wrong",
        REQUEST,
    )


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
@pytest.mark.parametrize("content", [b"", b"<html>Bad Gateway</html>", body("NEW_CODE"), body(None), b"[]"])
def test_without_a_documented_code_the_status_decides(status: int, kind: type, content: bytes) -> None:
    error = error_of(status, content)
    assert type(error) is kind
    assert error.status == status
    assert error.code == ("NEW_CODE" if b"NEW_CODE" in content else None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"id": "usr_abc123"}',
        b'{"outputs": {"c": "an \\"error\\" in quotes"}}',
        b'"error"',
        b'{"error": null}',
        b'{"error": "text"}',
        b'{"error": {}}',
        body("NEW_CODE"),
        body(["INVALID_API_KEY"]),
        b'{"outputs": {"error": {"code": "INVALID_API_KEY"}}}',
    ],
)
def test_a_success_without_a_documented_code_is_no_error(content: bytes) -> None:
    assert from_response(REQUEST, 200, {}, content) is None


@pytest.mark.parametrize(
    "content",
    [
        b'{"error": {"code": "insufficient_credits", "message": "x"}}',
        b'{"error": {"code": "Insufficient Credits"}}',
        b'{"error": "INSUFFICIENT_CREDITS"}',
        b'{"error": "insufficient-credits"}',
        b'{"code": "INSUFFICIENT_CREDITS", "message": "x"}',
    ],
)
def test_a_documented_code_counts_in_any_spelling(content: bytes) -> None:
    error = error_of(422, content)
    assert (type(error), error.code) == (errors.InsufficientCreditsError, "INSUFFICIENT_CREDITS")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NOT_ENOUGH_CREDITS", 400, errors.InsufficientCreditsError),
        ("payment_required", 402, errors.InsufficientCreditsError),
        ("MONTHLY_QUOTA_REACHED", 403, errors.RunLimitExceededError),
        ("PLAN_LIMIT_EXCEEDED", 422, errors.RunLimitExceededError),
        ("RATE_LIMIT_EXCEEDED", 429, errors.RateLimitedError),
        ("QUOTA_SERVICE_DOWN", 503, errors.ServerError),
        ("NEW_CODE", 422, errors.InvalidRequestError),
    ],
)
def test_a_code_that_names_credits_or_a_quota_is_about_the_account(
    code: str, status: int, kind: type[BitScaleError]
) -> None:
    assert type(error_of(status, body(code))) is kind


@pytest.mark.parametrize("status", [400, 402, 422, 500])
def test_an_error_answer_that_repeats_its_status_keeps_its_code(status: int) -> None:
    assert (
        type(error_of(status, body("INSUFFICIENT_CREDITS", status=status))) is errors.InsufficientCreditsError
    )


ADVICE = [("FEATURE_DISABLED", "change the plan"), ("MISSING_SOURCE", "add a data source of the kind")]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("code", "advice"), ADVICE)
def test_what_must_be_changed_in_bitscale_is_told(code: str, advice: str, status: int) -> None:
    error = error_of(status, body(code))
    assert (
        type(error)
        is {
            "FEATURE_DISABLED": errors.FeatureDisabledError,
            "MISSING_SOURCE": errors.MissingSourceError,
        }[code]
    )
    assert error.message.startswith("what went wrong. ")
    assert advice in error.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>\n  <h1>502   Bad\tGateway</h1></html>", "<html> <h1>502 Bad Gateway</h1></html>"),
        (b'["GRID_NOT_FOUND"]', '["GRID_NOT_FOUND"]'),
        (b"\xff\xfe", "��"),
        (b"", "no message given"),
        (body("X", ""), "no message given"),
        (body("X", None), "no message given"),
        (body("X", 7), "7"),
        (body("X", "two\nlines"), "two lines"),
        (b'{"error": "text"}', "text"),
        (b'{"message": "outside of error"}', "outside of error"),
        (b'{"message": 7}', '{"message": 7}'),
    ],
)
def test_the_message_is_one_line_for_a_person(content: bytes, message: str) -> None:
    assert error_of(502, content).message == message


@pytest.mark.parametrize(
    "content",
    [
        b"x" * 5_000_000,
        body("C", "x" * 5_000_000),
        body("x" * 5_000_000),
        b'{"error": ' + b"[" * 200_000,
        b"[" * 200_000,
    ],
    ids=["text", "message", "code", "deep error", "deep array"],
)
@pytest.mark.parametrize("status", [200, 400, 502])
def test_a_huge_body_makes_a_short_error(content: bytes, status: int) -> None:
    error = from_response(REQUEST, status, {}, content)
    if status == 200:
        assert error is None
    else:
        assert error is not None
        assert len(str(error)) < 1200


def test_a_redirect_names_where_it_pointed() -> None:
    error = error_of(302, Location="https://elsewhere.example/\r\nx")
    assert "'https://elsewhere.example/\\r\\nx'" in str(error)
    assert "base URL" in str(error)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 30.0),
        ("-3", None),
        ("soon", None),
        ("", None),
        ("inf", None),
        ("nan", None),
        ("999999999", 300.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert error_of(429, b"", Retry_After=value).retry_after == seconds


def examples() -> list[BitScaleError]:
    fields: dict[str, Any] = {"status": 429, "code": "C", "request": REQUEST, "retry_after": 3.0}
    return [kind("a message", **fields) for kind in errors.KINDS.values()]


@pytest.mark.parametrize("error", examples(), ids=lambda error: type(error).__name__)
def test_errors_survive_pickling_and_json(error: BitScaleError) -> None:
    again = pickle.loads(pickle.dumps(error))
    rebuilt = errors.KINDS[type(error).__name__](**json.loads(json.dumps(error.fields())))
    for copy in (again, rebuilt):
        assert type(copy) is type(error)
        assert copy.fields() == error.fields()
    assert str(error) == "GET /grids/grid_001: 429 C: a message"


def test_whether_a_request_was_sent_survives_too() -> None:
    error = errors.TransportError("refused", sent=False)
    assert pickle.loads(pickle.dumps(error)).sent is False
    assert errors.TransportError(**error.fields()).sent is False
    assert errors.TransportError("lost").sent is True


def test_the_tree_is_complete() -> None:
    assert {
        kind.__name__: kind
        for kind in BitScaleError.__subclasses__()
        if kind.__module__.endswith("api.errors")
    } == (errors.KINDS)
    assert errors.__doc__ is not None
    assert all(f"── {name}" in errors.__doc__ for name in errors.KINDS)


def test_an_error_text_goes_through_every_channel() -> None:
    error = errors.TransportError("cut \ud83d and \x00 empty")
    assert (error.message, str(error)) == ("cut \ufffd and  empty", "cut \ufffd and  empty")


ODD_TEXT = "\x1b[31mno\x07 such\u202e person\u2066\x9b\r\n2026-01-01 INFO all is well\u2028\x00"


def test_no_text_of_a_server_obeys_a_terminal_or_turns_a_line_around() -> None:
    for content in (ODD_TEXT.encode(), body("X", ODD_TEXT), json.dumps({"error": ODD_TEXT}).encode()):
        assert error_of(502, content).message == "[31mno such person 2026-01-01 INFO all is well"
    assert errors.ServerError("\x1b[31mno\u202e\x9b").message == "[31mno"


@pytest.mark.parametrize("error", [ODD_TEXT, {"message": ODD_TEXT}, {"odd": ODD_TEXT}, "x" * 5_000_000])
def test_neither_does_the_reason_of_a_failed_run_and_it_is_short(error: Any) -> None:
    reason = parse_run({"run_id": "r", "status": "failed", "error": error}).error
    assert reason is not None
    assert len(reason) <= 501
    assert not set(reason) & set("\x1b\x07\u202e\u2066\x9b\r\n\u2028\x00")


@pytest.mark.parametrize(
    "body",
    [
        '{"error": "insufficient_credits"}',
        '{"error": "Insufficient credits", "message": "top up"}',
        '{"code": "insufficient_credits", "message": "top up"}',
        '{"error_code": "INSUFFICIENT_CREDITS"}',
        '{"message": "INSUFFICIENT_CREDITS"}',
        '{"type": "insufficient_credits", "error": "top up"}',
        '{"error": {"code": "Insufficient-Credits"}}',
        '{"error": {"code": 402, "type": "insufficient_credits", "message": "top up"}}',
        '{"error": {"code": "E17", "message": "top up"}, "code": "INSUFFICIENT_CREDITS"}',
        '{"error": {"message": "insufficient_credits"}}',
        '{"errors": [{"code": "insufficient_credits", "message": "top up"}]}',
        '{"errors": ["insufficient_credits"]}',
        '{"detail": {"code": "insufficient_credits"}}',
        '{"detail": "insufficient_credits"}',
    ],
)
def test_a_documented_code_decides_wherever_it_stands(body: str) -> None:
    error = from_response("POST /grids/g/run", 400, {}, body.encode())
    assert isinstance(error, errors.InsufficientCreditsError)
    assert error.code == "INSUFFICIENT_CREDITS"
    assert error.message


@pytest.mark.parametrize(
    "body",
    [
        '{"status": "failed", "run_id": "r", "error": "insufficient_credits"}',
        '{"status": "failed", "run_id": "r", "error": {"message": "m"}, "message": "INSUFFICIENT_CREDITS"}',
    ],
)
def test_a_run_that_failed_is_an_answer_whatever_its_error(body: str) -> None:
    assert from_response("GET /grids/g/runs/r", 200, {}, body.encode()) is None


@pytest.mark.parametrize("odd", ["BAD\ud83d", "BAD\x00", "B\x1b[31mAD"])
def test_nothing_in_an_error_is_refused_by_a_channel(odd: str) -> None:
    content = json.dumps({"error": {"code": odd, "message": odd}, odd: odd}).encode()
    told = error_of(400, content)
    for error in (told, errors.BitScaleError("m", code=odd, request=odd, connection=odd)):
        text = json.dumps(error.fields(), ensure_ascii=False) + str(error)
        assert "\x00" not in text
        assert text.encode()
        assert "BAD" in str(error.code) or "\x1b" in odd
