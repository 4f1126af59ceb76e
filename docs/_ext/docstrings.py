"""What autodoc cannot see by itself in our docstrings and signatures."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any

from airflow.sdk import Context, ObjectStoragePath

from airflow_provider_bitscale import api

# Errors of one name are in two modules; which one is meant depends on who raises it.
_ERRORS = {
    "airflow_provider_bitscale.api.": "airflow_provider_bitscale.api",
    "airflow_provider_bitscale.": "airflow_provider_bitscale.exceptions",
}
_RAISES = re.compile(r":raises (\w+Error):")
_BUILT_IN = {"OSError", "RuntimeError", "ValueError"}
# Classes whose arguments a table shows.
_IN_A_TABLE = {"airflow_provider_bitscale.emulator.Emulator"}
# What modules import for type checkers alone, and aliases that are text at run time.
_FOR_TYPES = {
    **{name: getattr(api, name) for name in api.__all__},
    "Context": Context,
    "ObjectStoragePath": ObjectStoragePath,
    "Number": int | float,
    "Json": Mapping[str, Any],
}


def say_which_error(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Name in full what a docstring says is raised."""
    module = next((errors for prefix, errors in _ERRORS.items() if name.startswith(prefix)), None)

    def in_full(match: re.Match[str]) -> str:
        return match[0] if match[1] in _BUILT_IN or not module else f":raises ~{module}.{match[1]}:"

    lines[:] = [_RAISES.sub(in_full, line) for line in lines]
    types = app.env.current_document.autodoc_annotations.get(name, {})
    types.pop("kwargs", None)
    if types.get("return") == "None":
        del types["return"]
    if what == "class" and (templated := getattr(obj, "template_fields", ())):
        lines += ["", f"Templated are {', '.join(f'``{field}``' for field in templated)}.", ""]


def leave_out_arguments(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Show arguments of errors at their base alone, and of the emulator in its table."""
    is_base = obj in (api.BitScaleError, api.TransportError)
    if not signature or (name not in _IN_A_TABLE and (what != "exception" or is_base)):
        return None
    app.env.current_document.autodoc_annotations.pop(name, None)
    return (signature, returns) if name in _IN_A_TABLE else ("", "")


def resolve_annotations(app: Any, obj: Any, bound_method: bool) -> None:
    """Resolve annotations where they were written: Airflow wraps constructors in functions of its own."""
    wrapped = inspect.unwrap(obj)
    try:
        annotations = typing.get_type_hints(wrapped, localns=_FOR_TYPES)
    except TypeError:
        return
    for function in filter(inspect.isfunction, (obj, wrapped)):
        function.__annotations__ = annotations


def setup(app: Any) -> dict[str, bool]:
    """Tell autodoc."""
    app.connect("autodoc-process-docstring", say_which_error)
    app.connect("autodoc-process-signature", leave_out_arguments)
    app.connect("autodoc-before-process-signature", resolve_annotations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
