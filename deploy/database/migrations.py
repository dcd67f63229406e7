"""The migrations of the database, and the command that runs them."""

from pathlib import Path

MIGRATIONS = Path(__file__).parents[2] / "services" / "gateway" / "migrations"


def migrating(dbmate: Path) -> list[str | Path]:
    """Return the command that runs the migrations that are due in the database of DATABASE_URL."""
    return [dbmate, "--no-dump-schema", "--migrations-dir", MIGRATIONS, "migrate"]
