"""Links from a task in the Airflow UI to BitScale's app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class BitScaleGridLink(BaseOperatorLink):
    """Opens the grid of a task."""

    name: ClassVar[str] = "BitScale grid"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """The address of the grid in the BitScale app."""
        return f"https://app.bitscale.ai/grid/{quote(str(operator.grid_id), safe='')}"
