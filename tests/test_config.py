"""Settings: what is read from where, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import Settings, SettingsError, load_settings
from app.i18n import LANGUAGES, text


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    import os

    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("SUXIN_"):
            monkeypatch.delenv(name)


def test_defaults_follow_one_another(monkeypatch):
    settings = load_settings()
    assert settings.data_dir == Path("data")
    assert settings.keys_dir == Path("data-keys")
    assert settings.database_url == "sqlite:///data/suxin.db"
    assert settings.log_origin == "127.0.0.1:8000/log/1"
    monkeypatch.setenv("SUXIN_DATA_DIR", "/srv/suxin/")
    monkeypatch.setenv("SUXIN_BASE_URL", "https://Trace.Example/")
    settings = load_settings()
    assert settings.keys_dir == Path("/srv/suxin-keys")
    assert settings.database_url == "sqlite:////srv/suxin/suxin.db"
    assert settings.base_url == "https://trace.example"
    assert settings.log_origin == "trace.example/log/1"


def test_given_goes_before_environment_before_file(monkeypatch):
    Path(".env").write_text("SUXIN_PORT=1001\nexport SUXIN_HOST=1.1.1.1\nOTHER=x\n", "utf-8")
    assert (load_settings().port, load_settings().host) == (1001, "1.1.1.1")
    monkeypatch.setenv("SUXIN_PORT", "1002")
    assert load_settings().port == 1002
    assert load_settings(port=1003).port == 1003


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\xff\xfeS\x00", "UTF-8"),
        (b"SUXIN_PORT=1\ngarbage line\n", "line 2"),
        (b'# note\n\nSUXIN_HOST="1.1.1.1\n', "line 3"),
    ],
)
def test_a_file_that_would_be_passed_over_in_silence_is_refused(content, word):
    Path(".env").write_bytes(content)
    with pytest.raises(SettingsError, match=word) as refused:
        load_settings()
    for lang in LANGUAGES:
        assert ".env" in text(lang, refused.value.key, **refused.value.params)
    Path(".env").write_text(
        "# a note\n\n export SUXIN_HOST='2.2.2.2' # mine\nOTHER=\"x\"\n", "utf-8"
    )
    assert load_settings().host == "2.2.2.2"


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_mistyped_name_is_refused_and_the_right_one_named(monkeypatch, place):
    if place == "file":
        Path(".env").write_text("SUXIN_BASEURL=https://a.example\n", "utf-8")
    else:
        monkeypatch.setenv("SUXIN_BASEURL", "https://a.example")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "SUXIN_BASE_URL" in str(caught.value)
    for lang in LANGUAGES:
        assert "SUXIN_BASE_URL" in text(lang, caught.value.key, **caught.value.params)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASE_URL", "trace.example"),
        ("BASE_URL", "https://trace.example/app"),
        ("BASE_URL", "https://user@trace.example"),
        ("BASE_URL", "https://追溯.example"),
        ("LOG_ORIGIN", "a b"),
        ("LOG_ORIGIN", "a+b"),
        ("LOG_ORIGIN", "https://trace.example/log"),
        ("DATABASE_URL", "mysql://x"),
        ("CREDIT_STORE", "remote"),
        ("WORKER", "none"),
        ("PORT", "70000"),
        ("ANONYMOUS_PER_SECOND", "50"),
        ("KEY_PER_SECOND", "9"),
        ("TRUSTED_PROXIES", "everybody"),
        ("PUBLISH_INTERVAL_MS", "0"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(monkeypatch, name, value):
    monkeypatch.setenv(f"SUXIN_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"SUXIN_{name}" in str(caught.value)
    for lang in LANGUAGES:
        assert text(lang, caught.value.key, **caught.value.params)


def test_settings_do_not_change_under_a_running_service():
    with pytest.raises(ValidationError):
        load_settings().port = 1


def test_every_setting_says_what_it_means():
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert "efault" in field.description, name


@pytest.mark.parametrize(
    "value",
    [
        "local",
        "https://store.example",
        "https://store.example:8443/v1/credit",
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000",
        "file:///srv/exchange",
    ],
)
def test_credit_may_be_kept_elsewhere_too(monkeypatch, value):
    monkeypatch.setenv("SUXIN_CREDIT_STORE", value)
    assert load_settings().credit_store == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "remote",
        "https://",
        "http://store.example",  # anybody on the way could read and hold up
        "http://127.evil.example",
        "https://user:secret@store.example",
        "https://store.example/?a=b",
        "file:///",
        "file://host/srv",
        "ftp://store.example",
    ],
)
def test_a_store_that_cannot_be_is_refused(monkeypatch, value):
    monkeypatch.setenv("SUXIN_CREDIT_STORE", value)
    with pytest.raises(SettingsError, match="SUXIN_CREDIT_STORE"):
        load_settings()
