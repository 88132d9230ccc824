"""Encrypted connections, to a server whose certificate the tests make."""

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from asynctasq.errors import BrokerRejected

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, and a server's certificate by the first of them, for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ec.generate_private_key(ec.SECP256R1())
    authority = certificate("ours", key.public_key(), "ours", key, [])
    write(folder / "ca.pem", authority)
    other = ec.generate_private_key(ec.SECP256R1())
    write(folder / "other-ca.pem", certificate("theirs", other.public_key(), "theirs", other, []))
    own = ec.generate_private_key(ec.SECP256R1())
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    write(folder / "server.pem", certificate("server", own.public_key(), "ours", key, names))
    (folder / "server-key.pem").write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder


@pytest.fixture(scope="module")
def url(start_server, folder: Path) -> str:
    """A server that offers TLS."""
    options = {"ca": "ca.pem", "cert": "server.pem", "key": "server-key.pem"}
    return start_server(*(f"--ssl-{name}={folder}/{file}" for name, file in options.items())).url


@pytest.mark.parametrize(
    "query",
    ["", "?ssl_mode=required", "?ssl_ca={}/ca.pem", "?ssl_ca={}/ca.pem&ssl_mode=verify_identity"],
)
async def test_a_connection_is_encrypted(driver_on, url: str, folder: Path, query: str) -> None:
    driver = driver_on(url + query.format(folder))
    await driver.migrate()
    await driver.connect()
    (rows,) = await driver.session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    assert rows[0][1]
    await driver.disconnect()


async def test_it_is_not_encrypted_where_that_is_disabled(driver_on, url: str) -> None:
    driver = driver_on(f"{url}?ssl_mode=disabled")
    await driver.migrate()
    await driver.connect()
    (rows,) = await driver.session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    assert rows[0][1] == ""
    await driver.disconnect()


@pytest.mark.parametrize(
    "query",
    [
        "?ssl_ca={}/other-ca.pem",
        "?ssl_mode=verify_ca",
        "?ssl_ca={}/ca.pem&ssl_mode=verify_identity",
    ],
)
async def test_a_certificate_that_is_not_trusted_is_refused(
    driver_on, url: str, folder: Path, query: str
) -> None:
    host = "localhost" if "identity" in query else "127.0.0.1"
    driver = driver_on(url.replace("127.0.0.1", host) + query.format(folder))
    with pytest.raises(BrokerRejected, match="ssl_ca") as caught:
        await driver.connect()
    assert "\n" not in str(caught.value)
    await driver.disconnect()


def certificate(
    subject: str,
    key: ec.EllipticCurvePublicKey,
    issuer: str,
    issuers_key: ec.EllipticCurvePrivateKey,
    names: Sequence[x509.GeneralName],
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers_key.public_key()),
            critical=False,
        )
        .add_extension(usage(signs=not names), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuers_key, hashes.SHA256())


def usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def write(path: Path, one: x509.Certificate) -> None:
    path.write_bytes(one.public_bytes(serialization.Encoding.PEM))
