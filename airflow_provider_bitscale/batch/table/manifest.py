"""The manifest of a batch: how its rows were read, for those who run or collect them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.api.blank import NULL_VALUES
from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.batch.table.storage import FORMATS, StorePath, hint_if_relative, read_whole
from airflow_provider_bitscale.runs.options import are_texts


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How rows are read.

    :param inputs: by name or id of an input, the field with its value; None for fields named like inputs.
    :param null_values: texts that mean no value.
    """

    inputs: Mapping[str, str] | None
    null_values: Sequence[str]

    @classmethod
    def of(cls, inputs: Any, null_values: Any, earlier: Mapping[str, Any]) -> ReadOptions:
        """Take what the operator's arguments ask for, and where they are None, how an earlier batch was read.

        :param earlier: the manifest of the batch that the rows are from; empty if they are from none.
        """
        return cls(
            earlier.get("inputs") if inputs is None else inputs,
            list(earlier.get("null_values", NULL_VALUES) if null_values is None else null_values),
        )

    @property
    def in_manifest(self) -> dict[str, Any]:
        """As fields of a manifest."""
        inputs = None if self.inputs is None else dict(self.inputs)
        return {"inputs": inputs, "null_values": list(self.null_values)}


def read_manifest(path: StorePath) -> dict[str, Any]:
    """Return the manifest of a batch.

    :raises InvalidRequestError: there is none, or it is something else.
    :raises StoreError: the store cannot be read.
    """
    if (data := read_whole(path)) is None:
        raise InvalidRequestError(f"there is no file {path}{hint_if_relative(str(path))}")
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict) or not _is_manifest(manifest):
        raise InvalidRequestError(f"{path} is not the manifest of a batch")
    return manifest


def _is_manifest(data: Mapping[str, Any]) -> bool:
    inputs = data.get("inputs")
    return (
        are_texts(data.get("parts"))
        and (inputs is None or (isinstance(inputs, dict) and are_texts([*inputs.values()])))
        and are_texts(data.get("null_values", []))
        and are_texts(data.get("output_names"))
        and data.get("format") in FORMATS
    )
