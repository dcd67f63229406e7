# What the vault-broker may do beside its work in the transit engines, which `policy.py` adds, and nothing else.
# `+` is exactly one path segment; an exact path goes before it.

# Which transit engines are live. Provisioning and rotations write it.
path "secret/data/engines" {
  capabilities = ["read"]
}

# The key pair that requests to the broker are sealed to. Provisioning makes it.
path "secret/data/sealing-key" {
  capabilities = ["read"]
}

# The same key pair, where the brokers of the release before look for it: to be removed with the next release.
path "secret/data/credentials/sealing-key" {
  capabilities = ["read"]
}

path "secret/metadata/credentials/sealing-key" {
  capabilities = ["deny"]
}

# The fields of credentials that do not sign: written once, never over.
path "secret/data/credentials/+" {
  capabilities = ["create", "read"]
}

path "secret/metadata/credentials/+" {
  capabilities = ["delete"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
