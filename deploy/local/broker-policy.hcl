# What the vault-broker may do, and nothing else. `+` is exactly one path segment.

# A secret comes in wrapped, as a key that can not be exported.
path "transit/keys/+/import" {
  capabilities = ["update"]
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

# API keys and passphrases, and the key pair that requests to the broker are sealed to.
path "secret/data/credentials/+" {
  capabilities = ["create", "read"]
}

path "secret/metadata/credentials/+" {
  capabilities = ["delete"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
