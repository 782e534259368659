"""No secret gets into a plan, and what is none stays."""

import json

import pytest

from labctl.mask import MASK
from labctl.plan.masked import is_secret, masked

SECRETS = {
    "HF_TOKEN": "x", "POSTGRES_PASSWORD": "hunter2", "OPENAI_API_KEY": "k", "apiKey": "k", "DB_PASS": "p",
    "WEBUI_SECRET_KEY": "s", "AWS_ACCESS_KEY_ID": "AKIAABCDEFGHIJKLMNOP", "DATABASE_URL": "postgres://me:pw@db/x",
    "WHATEVER": "hf_abcdefghijklmnop",
    "LITELLM_MASTER_KEY": "m", "PGPASSWORD": "p", "dbpassword": "p",
    "REDISCLI_AUTH": "a", "HASH_SALT": "s", "LICENSE_KEY": "l",
    "HEADER": "Authorization: Bearer abcdef123", "COOKIE": "eyJhbGciOi.eyJzdWIi.c2ln", "MY_PW": "zz",
    "TS_AUTHKEY": "tskey-auth-x", "OPENAI_KEY": "k", "TAVILY_KEY": "k", "DEEPL_KEY": "k", "PGPASS": "p", "WG_PSK": "p",
    "WPAPSK": "p", "API_KEY_2": "k", "OPENAI_KEY2": "k", "APIKey": "k", "PROVIDER_KEYS": "one;two", "KEY": "k",
    "REDIS_CREDS": "c", "STORE_PASSCODE": "c", "JWT_PRIVATE_KEY_FILE_PASS": "p", "SMTP_PASS": "p",
    "STORAGE": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=x",
    "BUS": "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=abc=", "DSN": "host=db user=me password=hunter2",
    "OAUTH": "client_id=1&client_secret=x",
    "NOTIFY": "https://hooks.slack.com/services/T0/B0/x", "PEM": "-----BEGIN RSA PRIVATE KEY-----", "PASSWORD": "1234",
}  # fmt: skip
OPEN = {
    "WEBUI_NAME": "Home", "MAX_TOKENS": "4096", "TOKENIZERS_PARALLELISM": "false", "WEBUI_AUTH": "False",
    "POSTGRES_PASSWORD_FILE": "/run/secrets/pw", "KEY_REPEAT": "3", "USE_TOKEN": "true", "PASSWORD": "",
    "URL": "https://example.org:8080/x@y", "KEYBOARD": "de", "PATH": "/usr/bin", "COMPASS": "north",
    "VAPID_PUBLIC_KEY": "BPx", "SSH_PUBKEY": "ssh-ed25519 AAAA", "AUTHORIZED_KEYS": "ssh-ed25519 AAAA", "MAX_KEYS": "5",
    "TLS_KEY": "/certs/privkey.pem", "SORT_KEY": "name", "KEYBOARD_LAYOUT": "us", "MONKEY": "see", "BYPASS": "local",
    "SSL_KEY_PATH": "/certs", "KEYCLOAK_URL": "https://id.example", "ENCODING": "key=value", "PASSENGERS": "3",
    "AUTHOR": "me", "MASTER": "yes", "SESSION_NAME": "night",
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), SECRETS.items(), ids=SECRETS)
def test_a_secret_is_left_out_and_its_place_is_named(name: str, value: str) -> None:
    found = masked([(name, value), ("A", "b")], ())
    assert (dict(found.env), found.secrets) == ({"A": "b"}, (f"env.{name}",))


@pytest.mark.parametrize(("name", "value"), OPEN.items(), ids=OPEN)
def test_what_is_none_stays(name: str, value: str) -> None:
    assert not is_secret(name, value)


def test_secrets_among_arguments() -> None:
    args = (
        "serve",
        "--api-key",
        "abc",
        "--token=abc",
        "--max-tokens",
        "5",
        "hf_abcdefghijklmnop",
        "--api-key",
    )
    found = masked([], args)
    assert found.args == (
        "serve",
        "--api-key",
        MASK,
        f"--token={MASK}",
        "--max-tokens",
        "5",
        MASK,
        "--api-key",
    )
    assert found.secrets == ("args[2]", "args[3]", "args[6]")
    shown = masked(
        [], ("-pS3cret", "-p8080", "-parallel", "-p", "--masterkey=abc", "--header", "X-Auth: Bearer abcdefg")
    )
    assert shown.args == (f"-p{MASK}", "-p8080", "-parallel", "-p", f"--masterkey={MASK}", "--header", MASK)
    assert "abc" not in json.dumps([found.args, dict(found.env)])
