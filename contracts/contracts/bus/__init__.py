"""How the services speak: connection, envelope, delivery, requests, sealing, grants and topology."""
