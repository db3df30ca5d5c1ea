"""A group key in a key vault: Azure's own SDK as client, a small vault on loopback as server."""

import base64
import sys
import time

import pytest

from host_tools.errors import CommandError
from host_tools.key_sources.key_vault import SecretPlace, from_key_vault, parse
from tests.factory.keys_bench import CANARY_TEXT, DEVICE_KEY, NAME, keystead, seen_in
from tests.factory.vault_on_loopback import TOKEN, serving

credentials = pytest.importorskip("azure.core.credentials")
pytest.importorskip("azure.keyvault.secrets")
pytest.importorskip("azure.identity")


class Static:
    """A credential that has its token already."""

    def __init__(self, token=TOKEN):
        self.token = token
        self.scopes = []

    def get_token(self, *scopes, **options):
        self.scopes += scopes
        return credentials.AccessToken(self.token, int(time.time()) + 3600)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def vault(tmp_path):
    with serving(tmp_path) as vault:
        vault.secrets["dps-group"] = CANARY_TEXT
        yield vault


def opened(vault, path="/secrets/dps-group", credential=None, **options):
    credential = credential or Static()
    options = {"connection_verify": str(vault.ca), "retry_total": 0, **options}
    return from_key_vault(vault.url + path, credential, **options)


def refusal(vault, *words, **options):
    with pytest.raises(CommandError) as error:
        opened(vault, *words, **options)
    text = str(error.value)
    assert "\n" not in text
    assert TOKEN not in text
    assert seen_in(text.encode()) == []
    return text.replace(vault.url, "VAULT")


def test_the_key_is_read_once_after_the_vaults_challenge(vault):
    credential = Static()
    with opened(vault, credential=credential) as source:
        assert source.label == f"the group key in {vault.url}/secrets/dps-group"
        assert base64.b64encode(source.derive(NAME)).decode() == DEVICE_KEY
        source.derive("another")
    assert credential.scopes == [f"{vault.resource}/.default"]
    assert len(vault.requests) == 2  # one is challenged, one is answered


def test_a_version_may_be_named(vault):
    with opened(vault, "/secrets/dps-group/1") as source:
        assert base64.b64encode(source.derive(NAME)).decode() == DEVICE_KEY
    assert "/secrets/dps-group/1?" in vault.requests[-1]
    assert "is not there" in refusal(vault, "/secrets/dps-group/2")


def test_a_secret_that_is_not_there_is_told(vault):
    assert refusal(vault, "/secrets/other").startswith("VAULT/secrets/other is not there")


def test_a_secret_that_may_not_be_read_is_told(vault):
    vault.forbidden.add("dps-group")
    assert "give them the role Key Vault Secrets User" in refusal(vault)


def test_a_secret_that_is_disabled_is_told(vault):
    vault.disabled.add("dps-group")
    assert refusal(vault) == "VAULT/secrets/dps-group is disabled, expired or not valid yet"


def test_a_secret_that_is_no_key_is_told_and_not_shown(vault):
    vault.secrets["dps-group"] = CANARY_TEXT[:-2]
    assert "is not Base64" in refusal(vault)


def test_a_token_of_another_tenant_is_told(vault):
    text = refusal(vault, credential=Static("a-token-of-another"))
    assert text.startswith("VAULT does not take the access token")


def test_a_server_that_asks_for_another_services_token_gets_none(vault):
    credential = Static()
    vault.resource = "https://management.azure.com"
    assert "it is no Key Vault" in refusal(vault, credential=credential)
    assert credential.scopes == []


def test_a_vault_that_is_down_is_told(vault):
    vault.down = 503
    assert refusal(vault).startswith("VAULT answers 503")


def test_a_certificate_that_is_not_trusted_is_told(vault):
    assert refusal(vault, connection_verify=True).startswith("the certificate of VAULT is not")
    assert vault.requests == []


def test_a_vault_that_does_not_listen_is_told():
    with pytest.raises(CommandError, match="can not be reached: check its name"):
        from_key_vault("https://127.0.0.1:1/secrets/a", Static(), retry_total=0)


def test_a_secrets_identifier_is_read_as_the_portal_shows_it():
    place = "https://contoso.vault.azure.net/secrets/dps-group"
    assert parse(place) == SecretPlace("https://contoso.vault.azure.net", "dps-group", None)
    assert parse(f"{place}/0123abcd").version == "0123abcd"


@pytest.mark.skipif(sys.platform == "win32", reason="its az is a shell script")
def test_the_command_signs_in_as_azures_command_line_did(vault, tmp_path):
    az = tmp_path / "az"
    az.write_text(
        "#!/bin/sh\n"
        f'echo \'{{"accessToken": "{TOKEN}", "expiresOn": "2199-01-01 00:00:00.000000"}}\'\n'
    )
    az.chmod(0o755)
    words = ("derive-key", NAME, "--key-source", f"keyvault:{vault.url}/secrets/dps-group")
    environ = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",
        "REQUESTS_CA_BUNDLE": str(vault.ca),
    }
    done = keystead(*words, **environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{NAME}\t{DEVICE_KEY}\n", "")
    assert seen_in(done.stdout.encode()) == []
    az.write_text("#!/bin/sh\necho 'Please run az login' >&2\nexit 1\n")
    done = keystead(*words, **environ)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "Azure gives no access token: sign in with `az login`" in done.stderr
