# What the vault-broker may do, and nothing else. `+` is exactly one path segment; an exact path goes before it.

# A secret comes in wrapped, as an HMAC key. Without this restriction the broker could import keys that it can export.
path "transit/keys/+/import" {
  capabilities = ["update"]
  allowed_parameters = {
    "type"          = ["hmac"]
    "hash_function" = ["SHA256"]
    "exportable"    = [false]
    "ciphertext"    = []
  }
}

# Only to allow deletion: without this restriction it could make a key exportable.
path "transit/keys/+/config" {
  capabilities       = ["update"]
  allowed_parameters = { "deletion_allowed" = [true] }
}

path "transit/keys/+" {
  capabilities = ["delete"]
}

path "transit/hmac/+/sha2-256" {
  capabilities = ["update"]
}

path "transit/wrapping_key" {
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

# API keys and passphrases: written once, never over.
path "secret/data/credentials/+" {
  capabilities = ["create", "read"]
}

path "secret/metadata/credentials/+" {
  capabilities = ["delete"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
