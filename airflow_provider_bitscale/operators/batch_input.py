"""Where the rows of a batch come from, and what the log says about them; never their values."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from airflow_provider_bitscale.batch.options import BatchOptions
from airflow_provider_bitscale.batch.table.earlier_rows import UnfinishedRows, UnknownRows
from airflow_provider_bitscale.batch.table.mapping import InputMapping, RowMapping
from airflow_provider_bitscale.batch.table.readers import FileSource, ListSource, Source
from airflow_provider_bitscale.batch.table.survey import Survey
from airflow_provider_bitscale.batch.table.writers import OWN_FIELDS
from airflow_provider_bitscale.operators.store_path import stored
from airflow_provider_bitscale.runs.grid_schema import GridSchema

log = logging.getLogger(__name__)


def source_of(options: BatchOptions) -> Source:
    """Return the rows that the options name."""
    if options.rows_path is not None:
        return FileSource(stored(options.rows_path))
    if options.retry_failed_from is not None:
        return UnfinishedRows(stored(options.retry_failed_from), resubmit=options.resubmit_ambiguous)
    if options.collect_unknown_from is not None:
        return UnknownRows(stored(options.collect_unknown_from), options.grid_id)
    return ListSource([] if options.rows is None else options.rows)


def log_fields(mapping: RowMapping, fields: Sequence[str]) -> None:
    """Log which field goes to which input, and which inputs get nothing."""
    if fields and isinstance(mapping, InputMapping):
        matching = mapping.matching(fields)
        log.log(logging.WARNING if any(matching.unfilled.values()) else logging.INFO, "%s", matching)


def log_input(
    source: Source, mapping: RowMapping, survey: Survey, schema: GridSchema, output_names: Collection[str]
) -> None:
    """Log which rows are left out, and what looks unintended in the others.

    :param output_names: of the batch. A field of the same name is replaced, as one that is named like what a
        part says of each row.
    """
    if isinstance(source, UnfinishedRows):
        for why, count in source.left_out.items():
            log.warning("%s unknown rows are left out: %s", f"{count:,}", why)
    if not survey.rows or not isinstance(mapping, InputMapping):
        return
    for word in survey.possible_nulls:
        log.warning("%s", word.warning(schema.input_names.get(word.key, word.key)))
    for word in survey.possible_key_nulls:
        log.warning("%s", word.key_warning)
    if survey.total:
        log.warning(
            "%s, the last row, looks like a total or a count of rows, and is paid for like any: remove it if "
            "it is that",
            survey.total,
        )
    if replaced := [name for name in survey.fields if name in output_names or name in OWN_FIELDS]:
        log.warning("The outputs replace fields of the same name: %s", ", ".join(map(repr, replaced)))
