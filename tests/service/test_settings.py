from pathlib import Path

import pytest

from service.errors import SettingError
from service.settings import Settings, released_model, unknown_variables


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.max_image_bytes == 16 * 2**20
    assert settings.max_batch_bytes == settings.max_unpacked_bytes == 64 * 2**20
    assert settings.max_batch_items == 256
    assert settings.max_image_pixels == 20_000_000
    assert settings.model_path == released_model()


def test_variables_are_read_and_an_empty_one_counts_as_unset() -> None:
    settings = Settings.from_env({"DIGITS_PORT": " 9000 ", "DIGITS_ACCEPT_AT": "", "DIGITS_MODEL_PATH": "a.onnx"})
    assert (settings.port, settings.accept_at, settings.model_path) == (9000, None, Path("a.onnx"))


def test_the_command_line_wins_over_the_environment() -> None:
    assert Settings.from_env({"DIGITS_PORT": "9000"}, port="9001", host=None).port == 9001


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("DIGITS_PORT", "eight", "valid integer"),
        ("DIGITS_PORT", "70000", "65535"),
        ("DIGITS_WORKERS", "0", "greater than or equal to 1"),
        ("DIGITS_ACCEPT_AT", "1.5", "less than or equal to 1"),
        ("DIGITS_LOG_FORMAT", "xml", "'text' or 'json'"),
        ("DIGITS_MAX_BATCH_ITEMS", "-3", "greater than or equal to 1"),
    ],
)
def test_a_bad_value_names_the_variable_the_value_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings.from_env({name: value})
    assert name in str(caught.value)
    assert repr(value) in str(caught.value)
    assert allowed in str(caught.value)


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        Settings.from_env({"DIGITS_PORT": "x", "DIGITS_WORKERS": "y"})
    assert len(str(caught.value).splitlines()) == 2


def test_the_port_that_kubernetes_sets_for_a_service_is_explained() -> None:
    with pytest.raises(SettingError, match="enableServiceLinks"):
        Settings.from_env({"DIGITS_PORT": "tcp://10.0.0.7:80"})


def test_a_misspelt_variable_is_pointed_out_with_the_one_that_was_meant() -> None:
    environ = {"DIGITS_MAX_IMAGE_BYTE": "1", "DIGITS_DATA_DIR": "data", "DIGITS_SERVICE_HOST": "10.0.0.7"}
    [warning] = unknown_variables(environ)
    assert "DIGITS_MAX_IMAGE_BYTE " in warning
    assert "DIGITS_MAX_IMAGE_BYTES?" in warning


def test_keys_come_from_a_list_or_a_file_and_never_into_a_message(tmp_path: Path) -> None:
    assert Settings.from_env({"DIGITS_API_KEYS": "a, b,"}).api_keys == ("a", "b")
    secret = tmp_path / "keys"
    secret.write_text("first\n\nsecond\n")
    assert Settings.from_env({"DIGITS_API_KEYS": f"@{secret}"}).api_keys == ("first", "second")
    for value in (",", f"@{tmp_path}/none"):
        with pytest.raises(SettingError, match="DIGITS_API_KEYS"):
            Settings.from_env({"DIGITS_API_KEYS": value})
    with pytest.raises(SettingError) as caught:
        Settings.from_env({"DIGITS_API_KEYS": "a", "DIGITS_PORT": "x"})
    assert "API_KEYS" not in str(caught.value)


def test_origins_are_split_and_what_is_none_is_named() -> None:
    origins = Settings.from_env({"DIGITS_CORS_ORIGINS": "https://a.example, http://b.example:8080"}).cors_origins
    assert origins == ("https://a.example", "http://b.example:8080")
    for wrong in ("a.example", "https://a.example/", "https://a.example/page", "null"):
        with pytest.raises(SettingError, match=f"DIGITS_CORS_ORIGINS.*{wrong}.*is no origin"):
            Settings.from_env({"DIGITS_CORS_ORIGINS": f"https://b.example,{wrong}"})
