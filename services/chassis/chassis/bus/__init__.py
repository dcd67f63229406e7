"""The bus as services use it: connection, consuming, requests and replies, and what waits there."""
