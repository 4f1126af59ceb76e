"""The arguments of a task, as its author gave them or as Airflow has rendered them."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.exceptions import airflow_errors

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


Options = TypeVar("Options", bound=_Dataclass)


def options_of(kind: type[Options], operator: BaseOperator) -> Options:
    """Return the options of a task, from its attributes of the same names as they are now."""
    return kind(**{field.name: getattr(operator, field.name) for field in fields(kind) if field.init})


def arguments(operator: BaseOperator) -> dict[str, Any]:
    """Return the templated arguments by name, as they are now.

    Those that a subclass adds may not be there yet: it sets them after its parent's constructor.
    """
    return {name: getattr(operator, name) for name in operator.template_fields if hasattr(operator, name)}


def refuse(problems: list[str], *, of: BaseOperator | None = None) -> None:
    """Fail the task, or the import of its DAG, for all problems at once.

    :param of: the task to name, while its DAG is imported: Airflow shows nothing else that leads there.
    :raises InvalidRequestError: there are any.
    """
    if problems:
        task = "" if of is None else f"task {of.task_id!r}: "
        with airflow_errors():
            raise InvalidRequestError(task + "; ".join(problems))
