"""The receiver's URL: one for each submission, and the secret in none of them."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_bitscale.webhooks.addressee import Recipient, read_token
from airflow_provider_bitscale.webhooks.receiver_url import ReceiverUrl
from tests.webhooks.test_addressee import HOME, MAILBOX, SECRET, URL, token_in


def test_each_submission_has_a_url_of_its_own() -> None:
    receiver = ReceiverUrl(URL, SECRET)
    mailbox = replace(HOME, key=MAILBOX)
    urls = [receiver.addressed_to(HOME), receiver.addressed_to(mailbox, 3)]
    assert [read_token(token_in(url), SECRET) for url in urls] == [Recipient(HOME), Recipient(mailbox, 3)]


def test_the_secret_is_not_shown() -> None:
    receiver = ReceiverUrl(URL, SECRET)
    assert SECRET not in repr(receiver) + receiver.addressed_to(HOME)
