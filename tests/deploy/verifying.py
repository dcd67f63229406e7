"""Verifying a server's certificate as a strict client does."""

from cryptography.x509 import DNSName, ExtendedKeyUsage, SubjectAlternativeName, load_pem_x509_certificate
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store

from deploy.local.certificates import Authority, Identity

# RFC 5280 lets trustme mark these as critical; only the browsers' profile does not.
SERVER = (
    ExtensionPolicy.webpki_defaults_ee()
    .require_present(SubjectAlternativeName, Criticality.AGNOSTIC, None)
    .require_present(ExtendedKeyUsage, Criticality.AGNOSTIC, None)
)


def verified(authority: Authority, server: Identity) -> bool:
    """Return whether a strict client that trusts the authority accepts the server as localhost."""
    root, leaf = (
        load_pem_x509_certificate(each.certificate_path.read_bytes()) for each in (authority, server)
    )
    policy = (
        PolicyBuilder()
        .store(Store([root]))
        .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=SERVER)
    )
    return policy.build_server_verifier(DNSName("localhost")).verify(leaf, []) == [leaf, root]
