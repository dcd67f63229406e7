"""The vault-broker: stores exchange credentials in the vault and signs only listed reads."""
