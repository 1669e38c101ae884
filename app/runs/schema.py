"""The schema of the runs' database, version by version, and how one that is found is told from another program's."""

import hashlib
import sqlite3

SCHEMAS = (
    (
        """CREATE TABLE run (
            id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, recipe TEXT NOT NULL, state TEXT NOT NULL,
            reason TEXT, wanted TEXT, strikes INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
            created REAL NOT NULL, idempotency_key TEXT UNIQUE)""",
        "CREATE TABLE text (run TEXT PRIMARY KEY REFERENCES run ON DELETE CASCADE, content BLOB NOT NULL)",
        """CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES run ON DELETE CASCADE,
            name TEXT NOT NULL, step INTEGER, body BLOB NOT NULL)""",
        "CREATE INDEX event_of_run ON event (run)",
        "CREATE INDEX event_by_step ON event (run, name, step)",
        """CREATE TABLE checkpoint (
            id INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES run ON DELETE CASCADE, step INTEGER NOT NULL,
            file TEXT NOT NULL, sha256 TEXT NOT NULL, finished INTEGER NOT NULL)""",
        "CREATE INDEX checkpoint_of_run ON checkpoint (run)",
        "CREATE TABLE secret (value BLOB NOT NULL)",
        "INSERT INTO secret VALUES (randomblob(32))",
    ),
    (
        # Who asked (a fingerprint), what was asked for (a digest), the bytes it takes, its turn, since when it is over.
        "ALTER TABLE run ADD COLUMN address TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE run ADD COLUMN digest TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE run ADD COLUMN size INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE run ADD COLUMN turn INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE run ADD COLUMN ended REAL",
        "ALTER TABLE checkpoint ADD COLUMN size INTEGER NOT NULL DEFAULT 0",
        """UPDATE run SET address = owner,
            digest = digest_of(title, recipe, (SELECT content FROM text WHERE text.run = run.id)),
            turn = coalesce((SELECT min(id) FROM event WHERE event.run = run.id), 0),
            ended = CASE WHEN state IN ('finished', 'stopped', 'failed') THEN CAST(strftime('%s') AS REAL) END""",
        "DELETE FROM text WHERE run IN (SELECT id FROM run WHERE ended IS NOT NULL)",
        """UPDATE run SET size =
            coalesce((SELECT length(content) FROM text WHERE text.run = run.id), 0)
            + coalesce((SELECT sum(length(body)) FROM event WHERE event.run = run.id), 0)""",
        "CREATE INDEX run_by_state ON run (state, turn)",
        "CREATE INDEX run_by_owner ON run (owner, state)",
        "CREATE INDEX run_by_address ON run (address, state, size)",
        "CREATE INDEX run_by_end ON run (ended) WHERE ended IS NOT NULL",
        "CREATE INDEX run_by_wish ON run (wanted) WHERE wanted IS NOT NULL",
        "CREATE TABLE scratch (content BLOB NOT NULL)",
    ),
)
"""What brings a database from one version of the schema to the next, from nothing to the first at the beginning."""
APPLICATION = int.from_bytes(b"Gate")
OURS = {"run", "text", "event", "checkpoint", "secret"}


def digest_of(title: str, recipe: str, text: bytes | None) -> str:
    """What is kept of that which a run was asked for with, to know it when it is asked for again."""
    found = hashlib.sha256()
    for part in (title.encode(), recipe.encode(), text or b""):
        found.update(len(part).to_bytes(8) + part)
    return found.hexdigest()


def version_of(connection: sqlite3.Connection) -> int | None:
    """The version of the schema of an open database, 0 for an empty one; None where it is another program's."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables and not application:
        return 0
    if application == APPLICATION or (application == 0 and version > 0 and tables >= OURS):
        return version
    return None


def bring_up_to_date(connection: sqlite3.Connection, version: int) -> None:
    """Bring a database from a version of the schema to the newest; one interrupted on the way is as it was."""
    connection.create_function("digest_of", 3, digest_of, deterministic=True)
    for number, statements in enumerate(SCHEMAS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={number}")
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute("COMMIT")
