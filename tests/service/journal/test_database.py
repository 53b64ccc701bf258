"""Which databases a journal can be on."""

import pytest

from service.journal.journal import open_journal
from service.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql:secret@host", "the journal's URL cannot be read; wanted sqlite:///FILE"),
        ("sqlite://", "journal is 'sqlite://'; wanted sqlite:///FILE"),
        ("sqlite:///:memory:", "wanted sqlite:///FILE"),
        ("mysql://me:secret@host/db", r"journal is 'mysql://me:\*\*\*@host/db'; wanted"),
    ],
)
def test_url_of_no_such_database_says_what_is_wanted(url, message):
    with pytest.raises(ValueError, match=message):
        open_journal(url)


def test_journal_is_a_file_in_the_state_folder_by_default(tmp_path):
    assert load_settings(state=tmp_path).journal_url == f"sqlite:///{tmp_path}/journal.sqlite"


def test_journal_can_be_elsewhere_or_off():
    assert load_settings(journal="postgresql://host/name").journal_url == "postgresql://host/name"
    assert load_settings(journal="off").journal_url is None


def test_journal_setting_that_is_no_such_url_stops_the_start_and_shows_no_password():
    with pytest.raises(SettingsError, match=r"^--journal .*sqlite:///FILE, postgresql://") as refused:
        load_settings(journal="mysql://me:secret@host")
    assert "secret" not in str(refused.value)
