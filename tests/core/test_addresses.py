"""Addresses as text: what is one, and what of it may be told."""

from __future__ import annotations

import pytest

from geodeforest.core.addresses import file_name, is_remote, redacted, shown, split_remote


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("https://example.com/a.tif", True),
        ("HTTP://example.com/a.tif", True),
        ("s3://bucket/a.tif", True),
        ("ftp://example.com/a.tif", False),
        ("/vsicurl/https://example.com/a.tif", False),
        ("https", False),
        ("C:\\https\\a.tif", False),
        ("a,b.tif", False),
    ],
)
def test_an_address_begins_with_its_scheme(text, remote):
    assert is_remote(text) is remote


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://jane:hunter2@example.com:8443/a.tif", "https://example.com:8443/a.tif"),
        ("https://example.com/a.tif?sig=s3cret&b=/c@d", "https://example.com/a.tif"),
        ("https://example.com/a.tif#s3cret", "https://example.com/a.tif"),
        ("https://example.com/a@b/c.tif", "https://example.com/a@b/c.tif"),
        ("s3://bucket/a b/c.tif", "s3://bucket/a b/c.tif"),
        ("a?b=c.tif", "a?b=c.tif"),
    ],
)
def test_an_address_is_told_without_its_secrets(address, told):
    assert shown(address) == told


def test_a_message_loses_the_secrets_of_every_address_in_it():
    name = "/vsicurl?list_dir=no&url=https%3A%2F%2Fjane%3Ahunter2%40example.com%2Fa.tif"
    assert redacted(f"{name}, band 1: failed") == "the file, band 1: failed"
    assert redacted("see https://u:p@h/a?t=1 and http://h/b") == "see https://h/a and http://h/b"
    assert redacted("C:/data/a.tif: no; do") == "C:/data/a.tif: no; do"


def test_a_comma_within_an_address_is_part_of_it():
    both = "https://h/a,b.tif, s3://bucket/c.tif"
    assert split_remote(both) == ("https://h/a,b.tif", "s3://bucket/c.tif")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://h/x/scene%20one.tif?t=1", "scene one.tif"),
        ("https://h/x/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("s3://bucket/x/y.tif", "y.tif"),
    ],
)
def test_a_file_is_named_like_the_end_of_its_address(address, name):
    assert file_name(address) == name
