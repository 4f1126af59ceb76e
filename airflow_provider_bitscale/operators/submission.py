"""Checks one row before anything is paid for, and submits it once."""

from __future__ import annotations

import logging
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_bitscale.api import errors
from airflow_provider_bitscale.operators.task_state import address_of, try_of
from airflow_provider_bitscale.runs.grid_cache import drop_form
from airflow_provider_bitscale.runs.grid_schema import GridSchema
from airflow_provider_bitscale.runs.inputs import input_columns, unique_names
from airflow_provider_bitscale.runs.run_record import INTENT, Intent, Record
from airflow_provider_bitscale.webhooks.callback_token import new_key
from airflow_provider_bitscale.webhooks.callback_url import CallbackUrl

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_bitscale.api.models import Run
    from airflow_provider_bitscale.hooks.bitscale import BitScaleHook
    from airflow_provider_bitscale.runs.options import RunOptions

log = logging.getLogger(__name__)

# After a refusal of the key.
HICCUP_SECONDS = 2.0
# By which BitScale refuses what is asked for.
_REFUSALS = (400, 422)


class Submission:
    """What a task would submit, and the record it would have."""

    def __init__(self, options: RunOptions, hook: BitScaleHook, context: Context, fingerprint: str) -> None:
        self._options = options
        self._hook = hook
        self._context = context
        self._fingerprint = fingerprint
        self._sent: dict[str, Any] | None = None

    def checked_inputs(self) -> dict[str, Any]:
        """Return the inputs as a run takes them.

        :raises BitScaleError: they are wrong, or there are too few credits; nothing was submitted.
        """
        options = self._options
        if unsupported := options.unsupported(self._hook.client.contract):
            raise errors.UnsupportedError(unsupported)
        try:
            inputs = self._inputs()
        except errors.InvalidRequestError:
            # What processes share of the grid may be outdated: its refusal does not count.
            if not self._schema.is_cached:
                raise
            self._schema = self._fetch(anew=True)
            inputs = self._inputs()
        if unfilled := self._schema.unfilled(inputs):
            log.warning("This row has no value for %s, which the grid's columns use", ", ".join(unfilled))
        self._check_credits()
        self._sent = inputs
        return inputs

    def is_another_now(self, refusal: errors.InvalidRequestError) -> bool:
        """Whether BitScale has refused what follows from an outdated schema, and another request follows now.

        :raises BitScaleError: by the schema that the grid has now, the inputs are wrong.
        """
        # A code is BitScale speaking, not something between: nothing was processed.
        is_refused = refusal.status in _REFUSALS and refusal.code is not None
        if self._sent is None or not self._schema.is_cached or not is_refused:
            return False
        sent = self._sent, self._schema.output_columns
        self._schema = self._fetch(anew=True)
        return sent != (self._inputs(), self._schema.output_columns)

    def _inputs(self) -> dict[str, Any]:
        options, schema = self._options, self._schema
        inputs = schema.inputs_of(options.inputs)
        refused, told = schema.without_value(options.inputs, options.templated_inputs, inputs)
        if refused and options.validate_inputs:
            raise errors.InvalidRequestError(
                f"{'; '.join(refused)}: that is what a template gives that finds nothing. Correct it, or set "
                "validate_inputs=False if it is meant; nothing was submitted"
            )
        for problem in refused + told:
            log.warning("Is it meant that %s?", problem)
        return inputs

    def record(self, delivery_key: str | None = None) -> Record:
        """Return the record of a run that is about to be submitted.

        :param delivery_key: under which its delivery will be; None if none is expected.
        """
        options, grid = self._options, self._schema.grid
        return Record(
            phase=INTENT,
            last_try=try_of(self._context),
            fingerprint=self._fingerprint,
            grid_id=options.grid_id,
            deadline=time.time() + options.timeout,
            delivery_key=delivery_key,
            delivery_conn_id=delivery_key and options.bitscale_conn_id,
            handed_on=not options.wait_for_completion,
            column_names=unique_names(grid) if options.key_outputs_by == "name" else {},
            input_columns=input_columns(grid),
        )

    def webhook(self) -> tuple[str | None, str | None]:
        """Where BitScale shall deliver the run, and the key under which the task finds the delivery."""
        options = self._options
        receiver = CallbackUrl.of(options.webhook_url, self._hook, trust=options.trust_webhook)
        if receiver is None:
            return options.webhook_url, None
        key = new_key()
        return receiver.addressed_to(address_of(self._context, key, options.bitscale_conn_id)), key

    def send(self, inputs: dict[str, Any], webhook_url: str | None, intent: Intent) -> Run:
        """Submit the run. Costs credits.

        :param intent: written before the request leaves.
        :raises AmbiguousSubmitError: it may have been started, or not.
        :raises UnreadableAcceptanceError: it was started, and the answer does not name it.
        :raises BitScaleError: it was not started.
        """
        options, schema = self._options, self._schema

        def post() -> Run:
            return self._hook.client.run_grid(
                options.grid_id,
                inputs,
                mode=options.mode,
                output_columns=schema.output_columns,
                webhook_url=webhook_url,
                timeout=options.timeout if options.mode == "sync" else None,
                recipe=schema.recipe,
                observer=intent,
            )

        try:
            return post()
        except errors.AuthenticationError:
            # No run was started; and the key was good for the grid a moment ago.
            time.sleep(HICCUP_SECONDS)
            return post()
        except (errors.InvalidRequestError, errors.NotFoundError):
            drop_form(self._hook.client, options.grid_id)
            raise

    @cached_property
    def _schema(self) -> GridSchema:
        return self._fetch()

    def _fetch(self, *, anew: bool = False) -> GridSchema:
        options, client = self._options, self._hook.client
        return GridSchema.fetch(
            client, options.grid_id, options.output_columns, validate=options.validate_inputs, anew=anew
        )

    def _check_credits(self) -> None:
        wanted = self._options.min_credits
        if wanted is None:
            return
        remaining = self._hook.get_credits().remaining
        if remaining is None:
            raise errors.TransportError("BitScale does not say how many credits are left; min_credits is set")
        if remaining < wanted:
            raise errors.InsufficientCreditsError(
                f"{remaining:,} credits are left, min_credits is {wanted:,}; nothing was submitted"
            )
