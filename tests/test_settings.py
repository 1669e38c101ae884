import pytest
from pydantic import ValidationError

from gatescope.app.settings import LOOPBACK, Settings


def test_environment_sets_and_flag_goes_before_it(monkeypatch):
    monkeypatch.setenv("GATESCOPE_PORT", "9001")
    monkeypatch.setenv("GATESCOPE_HOST", "0.0.0.0")
    assert Settings().port == 9001
    assert Settings(port=9002).port == 9002


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("port", 0),
        ("port", 65536),
        ("port", "many"),
        ("kernel", "fast"),
        ("text_limit_get", 0),
        ("frame_ancestors", "https://a.example; script-src *"),
        ("frame_ancestors", "*\r\nX-Evil: 1"),
        ("allowed_hosts", "a.example\nb"),
    ],
)
def test_wrong_settings_are_refused(setting, value):
    with pytest.raises(ValidationError):
        Settings(**{setting: value})


def test_loopback_answers_to_loopback_names_only():
    assert Settings(host="127.0.0.1").hosts() == [*LOOPBACK]
    assert Settings(host="0.0.0.0").hosts() == ["*"]
    assert Settings(host="0.0.0.0", allowed_hosts="a.example b.example").hosts()[:2] == ["a.example", "b.example"]
