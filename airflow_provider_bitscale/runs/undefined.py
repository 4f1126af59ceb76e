"""Pure: what a template renders for a value that is not there, and arguments and inputs that have it.

See :mod:`airflow_provider_bitscale.api.blank` for the other words for no value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_bitscale.api.blank import NULL_VALUES, is_blank

# As Jinja, JSON, pandas and numpy write it, and Airflow a Variable that is not there (var.value.get).
_WRITTEN = ("None", "null", "nan", "NaN", "NaT", "<NA>", "NOTSET")
_UNDEFINED = frozenset(("", "undefined", *(text.lower() for text in _WRITTEN)))
# Arguments that are an id, a path or a URL, which are never called so.
_TEXTS = (
    "grid_id",
    "run_id",
    "workspace_id",
    "bitscale_conn_id",
    "webhook_url",
    "rows_path",
    "retry_failed_from",
    "collect_unknown_from",
    "output_path",
)


class GivenArguments:
    """The arguments that the author of a DAG gave, to check that none is undefined before a run is paid for.

    :param arguments: by name, as they were given: values, templates, references to other tasks, or None.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        # Of a task that pushed no delivery, none is awaited.
        self._names = [
            name for name, value in arguments.items() if value is not None and name != "delivery_address"
        ]

    def problems(self, rendered: Mapping[str, Any]) -> list[str]:
        """One sentence for each argument that is undefined once Airflow has rendered it."""
        return [
            f"{name} came to {rendered[name]!r}, which is what a template gives that finds nothing; correct "
            "the template, or leave the argument out"
            for name in self._names
            if rendered[name] is None or (name in _TEXTS and is_undefined(rendered[name]))
        ]


def templated(inputs: Any) -> frozenset[str]:
    """Return the names of those inputs that are templates."""
    if not isinstance(inputs, Mapping):
        return frozenset()
    return frozenset(
        name for name, value in inputs.items() if isinstance(value, str) and ("{{" in value or "{%" in value)
    )


def inputs_without_value(
    inputs: Mapping[str, Any],
    templates: Collection[str],
    required: Collection[str],
    *,
    may_be_none: bool = False,
) -> tuple[list[str], list[str]]:
    """One sentence for each input without a value: for those to refuse, and for those that may be meant.

    :param inputs: the values of a row by name, rendered.
    :param templates: names of those that were templates.
    :param required: names and ids of the inputs that the grid requires.
    :param may_be_none: whether a row without inputs is right, as the grid takes none.
    """
    refused, told = [], []
    for name, value in inputs.items():
        written = isinstance(value, str) and value.strip() in _WRITTEN
        blank = is_blank(value)
        null_value = not blank and is_blank(value, NULL_VALUES)
        if (written and name in templates) or ((written or blank or null_value) and name in required):
            refused.append(f"the input {name!r} came to {value!r}")
        elif written or null_value or (blank and name in templates):
            told.append(f"the input {name!r} is {value!r}")
    has_value = any(not is_blank(value, NULL_VALUES) and not is_undefined(value) for value in inputs.values())
    if not has_value and not refused and not may_be_none:
        refused.append("no input has a value, and a blank row would be paid for")
    return refused, told


def has_undefined_in(url: str) -> bool:
    """Whether a part of a URL is undefined."""
    parts = urlsplit(url)
    named = [*parts.netloc.split("."), *parts.path.split("/"), *parts.fragment.split("/")]
    values = [value for _, value in parse_qsl(parts.query)]
    return "None" in named or any(value in _WRITTEN for value in values)


def is_undefined(value: Any) -> bool:
    """Whether a value is NaN, or a text that a template renders for no value, in upper or lower case."""
    if isinstance(value, str):
        return value.strip().lower() in _UNDEFINED
    return isinstance(value, float) and value != value
