"""Connected accounts: their keys from submission to destruction, their rights and pauses."""
