"""Pure: how the rows of a batch are read, which its manifest keeps for those who run them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_bitscale.api.blank import NULL_VALUES


@dataclass(frozen=True, slots=True)
class ReadAs:
    """How rows are read.

    :param inputs: by name or id of an input, the field with its value; None for fields named like inputs.
    :param null_values: texts that stand for no value.
    """

    inputs: Mapping[str, str] | None
    null_values: Sequence[str]

    @classmethod
    def of(cls, inputs: Any, null_values: Any, earlier: Mapping[str, Any]) -> ReadAs:
        """As is asked for, and where nothing is, as an earlier batch read its rows.

        :param inputs: the argument of the operator, or None.
        :param null_values: the argument of the operator, or None.
        :param earlier: the manifest of the batch that the rows are from; empty if they are from none.
        """
        return cls(
            earlier.get("inputs") if inputs is None else inputs,
            list(earlier.get("null_values", NULL_VALUES) if null_values is None else null_values),
        )

    @property
    def in_manifest(self) -> dict[str, Any]:
        """The fields of a manifest that tell it."""
        inputs = None if self.inputs is None else dict(self.inputs)
        return {"inputs": inputs, "null_values": list(self.null_values)}
