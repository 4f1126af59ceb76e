"""The batch as a whole, in Airflow's task state store, and whether a try goes on with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from airflow_provider_bitscale.api.errors import InvalidRequestError
from airflow_provider_bitscale.runs.resume import Resume, Try, resume_rule
from airflow_provider_bitscale.runs.state_store import Store, read_record

BATCH_KEY = "bitscale_batch"
BATCH_RECOVERY = (
    f"To start over, and pay again, delete the key {BATCH_KEY!r} from the task's state store and "
    "clear the task."
)


@dataclass(frozen=True)
class BatchRecord:
    """The batch as a whole.

    :param fingerprint: of the input, the grid and all that changes what is bought.
    :param last_try: the last that began with the batch or handed it over; shows a Clear from a retry.
    :param output_path: where its parts are; the first try decides.
    :param output_names: of the outputs; the first try decides, for its parts have them all.
    :param escapes_formulas: whether its parts in CSV are escaped; the first try decides.
    :param opened: how many segments have a record. It grows before a row of a new segment is submitted, so a
        record that is missing is lost, and says nothing about what was paid for.
    :param tries: a token for each try that may have submitted rows, in order.
    :param collected: whether the task has succeeded with it.
    :param delivery_conn_id: the connection that deliveries have to be signed with; None if none are expected.
    """

    batch_id: str
    fingerprint: str
    last_try: Try
    started_at: float
    output_path: str | None
    output_format: str
    opened: int
    tries: list[str]
    collected: bool = False
    delivery_conn_id: str | None = None
    output_names: list[str] = field(default_factory=list)
    escapes_formulas: bool = False


def read_batch(store: Store) -> BatchRecord | None:
    """Return the batch of an earlier try, or None; raises as :func:`read_record`."""
    return read_record(store, BATCH_KEY, BatchRecord, BATCH_RECOVERY)


def write_batch(store: Store, batch: BatchRecord) -> None:
    """Make it durable."""
    store.set(BATCH_KEY, asdict(batch))


def continues(batch: BatchRecord | None, fingerprint: str, this_try: Try) -> bool:
    """Whether a try goes on with the batch of an earlier one, rather than begin again.

    :raises InvalidRequestError: it would pay again for rows that an unfinished batch has paid for.
    """
    resume = Resume.START_OVER if batch is None else resume_rule(batch, fingerprint, this_try)
    if resume is Resume.CHANGED:
        raise InvalidRequestError(
            "the input, or an option that decides what is bought, has changed since an earlier try, which "
            f"may have paid for rows. Change it back, and they will be collected. {BATCH_RECOVERY}"
        )
    return resume is Resume.ATTACH
