"""Whole deployments of older gateways: their files, folders and databases, with names and states."""

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials.importers import Found, Unusable, parse, parse_all, sql_dump
from tests.credentials.samples import (
    FUTURE,
    REFRESH_TOKEN,
    api_key,
    as_bytes,
    cliproxyapi,
    gcli2api,
    zipped,
)
from tests.services import give_up, postgres_database

SCHEMA = """
CREATE TABLE {table} (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    filename TEXT UNIQUE NOT NULL,
    credential_data TEXT NOT NULL, -- the file, as JSON
    disabled INTEGER DEFAULT 0,
    error_codes TEXT DEFAULT '[]',
    user_email TEXT,
    model_cooldowns TEXT DEFAULT '{{}}',
    preview INTEGER DEFAULT 1,
    tier TEXT DEFAULT 'pro',
    created_at REAL DEFAULT (unixepoch())
)
"""
COLUMNS = (
    "filename, credential_data, disabled, error_codes, user_email, model_cooldowns, preview, tier"
)


def rows():
    one = gcli2api(refresh_token="1//one", project_id="project-one")
    two = gcli2api(refresh_token="1//two", project_id="project-two")
    rests = json.dumps({"gemini-2.5-pro": FUTURE})
    return [
        ("project-one-1.json", json.dumps(one), 0, "[]", "Alice@example.org", rests, 1, "pro"),
        ("it's-two.json", json.dumps(two), 1, "[403]", None, "{}", 0, "free"),
    ]


def write(database, table="credentials"):
    database.execute(SCHEMA.format(table=table))
    marks = ", ".join("?" * 8)
    database.executemany(f"INSERT INTO {table} ({COLUMNS}) VALUES ({marks})", rows())
    database.commit()


def assert_both_with_names_and_states(items):
    found = [item for item in items if isinstance(item, Found)]
    one, two = found
    assert [one.name, two.name] == ["project-one-1.json", "it's-two.json"]
    assert (one.email, one.project, one.secret["refresh_token"]) == (
        "alice@example.org",
        "project-one",
        "1//one",
    )
    assert one.known.rests == {"gemini-2.5-pro": FUTURE}
    assert (one.known.state, one.known.preview, one.known.tier) == ("", True, "pro")
    assert (two.known.state, two.known.preview, two.known.tier) == ("disabled", False, "free")
    assert two.known.rests == {}


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "credentials.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        write(connection)
        yield connection, path


def test_an_sqlite_database_whose_newest_pages_are_still_in_its_log(database):
    _, path = database
    files = {f"creds/{file.name}": file.read_bytes() for file in sorted(path.parent.iterdir())}
    assert set(files) == {f"creds/credentials.db{end}" for end in ("", "-shm", "-wal")}
    assert_both_with_names_and_states(parse_all(files.items()))
    assert_both_with_names_and_states(parse("deployment.zip", zipped(files)))


def test_a_closed_sqlite_database(database):
    connection, path = database
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert_both_with_names_and_states(parse("credentials.db", path.read_bytes()))


def test_half_written_pages_of_a_log_are_left_out(database):
    connection, path = database
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    connection.execute("INSERT INTO credentials (filename, credential_data) VALUES ('x', '{}')")
    connection.commit()
    log = (path.parent / "credentials.db-wal").read_bytes()
    items = parse_all([("a.db", before), ("a.db-wal", log[:-1])])
    assert_both_with_names_and_states(items)


def test_antigravitys_logins_are_told_once_and_not_taken(database):
    connection, path = database
    write(connection, "antigravity_credentials")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    items = parse("credentials.db", path.read_bytes())
    assert_both_with_names_and_states(items)
    assert "2 logins of Antigravity" in items[-1].reason


def test_an_sqlite_dump(database):
    connection, _ = database
    items = parse("dump.sql", "\n".join(connection.iterdump()).encode())
    assert_both_with_names_and_states(items)


def test_keys_in_tables_of_any_other_gateway(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t_settings (key TEXT, value TEXT)")
        keys = json.dumps([api_key(1), api_key(2)])
        connection.execute("INSERT INTO t_settings VALUES ('API_KEYS', ?)", (keys,))
        connection.execute("INSERT INTO t_settings VALUES ('MODEL', '[\"gemini\"]')")
        connection.execute("CREATE TABLE log (line TEXT)")
        connection.execute("INSERT INTO log VALUES (?)", (f"key={api_key(3)} failed",))
        connection.commit()
    items = parse("other.db", path.read_bytes())
    assert [item.secret["api_key"] for item in items] == [api_key(1), api_key(2), api_key(3)]


def hostile(statement: str, tmp_path) -> bytes:
    path = tmp_path / "hostile.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.execute("PRAGMA writable_schema=ON")
        connection.commit()
    return path.read_bytes()


def test_views_do_not_run_and_a_damaged_database_is_told(tmp_path):
    endless = "CREATE VIEW credentials AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    (item,) = parse("h.db", hostile(endless, tmp_path))
    assert "no API key" in item.reason
    (item,) = parse("h.db", b"SQLite format 3\x00" + b"\xff" * 5000)
    assert "damaged SQLite" in item.reason


def test_a_column_that_computes_does_not_run_and_harms_no_other_table(database):
    connection, path = database
    connection.execute("CREATE TABLE t (x, y GENERATED ALWAYS AS (hex(zeroblob(x))) VIRTUAL)")
    connection.execute("INSERT INTO t (x) VALUES (1000)")
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert_both_with_names_and_states(parse("credentials.db", path.read_bytes()))


PG_DUMP = """--
-- PostgreSQL database dump
--
COPY public.credentials (id, {columns}) FROM stdin;
{lines}
\\.

COPY public.config (key, value) FROM stdin;
keepalive\t""
\\.
"""


def copy_line(number, row):
    def field(value):
        if value is None:
            return "\\N"
        return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")

    return "\t".join([str(number), *map(field, row)])


def test_a_dump_of_pg_dump():
    lines = "\n".join(copy_line(number, row) for number, row in enumerate(rows(), start=1))
    dump = PG_DUMP.format(columns=COLUMNS, lines=lines)
    assert_both_with_names_and_states(parse("dump.sql", dump.encode()))


def test_a_dump_of_pg_dump_with_inserts():
    def literal(value):
        if value is None:
            return "NULL"
        return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"

    inserts = [
        f"INSERT INTO public.credentials ({COLUMNS}) VALUES ({', '.join(map(literal, row))});"
        for row in rows()
    ]
    dump = "-- PostgreSQL database dump\n" + "\n".join(inserts)
    assert_both_with_names_and_states(parse("dump.sql", dump.encode()))


def test_a_dump_of_mysqldump_names_no_columns_and_escapes_with_backslashes():
    def literal(value):
        if value is None:
            return "NULL"
        if isinstance(value, int):
            return str(value)
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace('"', '\\"') + "'"

    values = ",".join(
        f"({number},{','.join(map(literal, row))},1700000000.5)"
        for number, row in enumerate(rows(), start=1)
    )
    create = """CREATE TABLE `credentials` (
  `id` int NOT NULL AUTO_INCREMENT,
  `filename` varchar(255) NOT NULL,
  `credential_data` json NOT NULL,
  `disabled` tinyint DEFAULT '0',
  `error_codes` json DEFAULT (_utf8mb4'[]'),
  `user_email` varchar(255) DEFAULT NULL,
  `model_cooldowns` json DEFAULT (_utf8mb4'{}'),
  `preview` tinyint DEFAULT '1',
  `tier` varchar(20) DEFAULT 'pro',
  `created_at` double DEFAULT (unix_timestamp()),
  PRIMARY KEY (`id`),
  UNIQUE KEY `filename` (`filename`)
) ENGINE=InnoDB;
"""
    dump = f"-- MySQL dump 10.13\n{create}INSERT INTO `credentials` VALUES {values};\n"
    assert_both_with_names_and_states(parse("dump.sql", dump.encode()))


def test_a_real_pg_dump(postgres_url):
    """Made by the tool itself, which comes with the server."""
    tool = shutil.which("pg_dump")
    if tool is None:
        give_up("pg_dump is not installed")
    # `postgres_url` says whether there is a server; other tests have their tables there.
    with postgres_database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE credentials (id SERIAL PRIMARY KEY, filename TEXT UNIQUE NOT NULL, credential_data TEXT "
                "NOT NULL, disabled INTEGER, error_codes TEXT, user_email TEXT, model_cooldowns TEXT, preview INTEGER, "
                "tier TEXT)"
            )
            for row in rows():
                connection.execute(
                    f"INSERT INTO credentials ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                    row,
                )
        for options in ([], ["--inserts"], ["--column-inserts"]):
            done = subprocess.run([tool, *options, url], capture_output=True, check=False)
            if done.returncode:
                give_up(f"pg_dump does not fit the server: {done.stderr.decode()[:200]}")
            assert_both_with_names_and_states(parse("dump.sql", done.stdout))


def test_mongoexport_in_lines_and_as_a_list():
    documents = [
        {
            "_id": {"$oid": "65f0"},
            "filename": filename,
            "credential_data": json.loads(data),
            "disabled": bool(disabled),
            "error_codes": json.loads(codes),
            "user_email": email,
            "model_cooldowns": {
                model.replace(".", "-"): until for model, until in json.loads(rests).items()
            },
            "preview": bool(preview),
            "tier": tier,
        }
        for filename, data, disabled, codes, email, rests, preview, tier in rows()
    ]
    lines = "\n".join(map(json.dumps, documents))
    assert_both_with_names_and_states(parse("credentials.json", lines.encode()))
    assert_both_with_names_and_states(parse("credentials.json", as_bytes(documents)))


def test_everything_in_one_row_as_older_versions_kept_it():
    data = {
        filename: {
            "credential": json.loads(content),
            "state": {
                "disabled": bool(disabled),
                "user_email": email,
                "model_cooldowns": json.loads(rests),
                "preview": bool(preview),
                "tier": tier,
            },
            "stats": {"call_timestamps": []},
        }
        for filename, content, disabled, _, email, rests, preview, tier in rows()
    }
    assert_both_with_names_and_states(parse("all.json", as_bytes(data)))
    dump = (
        "-- PostgreSQL database dump\nCOPY public.unified_storage (key, data, updated_at) FROM stdin;\n"
        + "all_credentials\t"
        + json.dumps(data).replace("\\", "\\\\")
        + "\t2025-11-01\n\\.\n"
    )
    assert_both_with_names_and_states(parse("dump.sql", dump.encode()))


TOML = """
["project-one-1.json"]
client_id = "c"
client_secret = "s"
token = "ya29.t"
refresh_token = "1//one"
project_id = "project-one"
expiry = "2096-10-02T07:06:40+00:00"
error_codes = []
disabled = false
user_email = "Alice@example.org"
preview = true
tier = "pro"

["project-one-1.json".model_cooldowns]
"gemini-2.5-pro" = 4000000000.0

["it's-two.json"]
client_id = "c"
client_secret = "s"
refresh_token = "1//two"
project_id = "project-two"
disabled = true
preview = false
tier = "free"
"""


def test_creds_toml_of_a_folder():
    assert_both_with_names_and_states(parse("creds/creds.toml", TOML.encode()))


def test_files_of_a_folder_get_the_states_that_stand_beside_them_in_any_order():
    state = '["a.json"]\ndisabled = true\nuser_email = "bob@example.org"\n'
    files = [
        ("creds/creds_state.toml", state.encode()),
        ("creds/a.json", as_bytes(gcli2api())),
        ("other/a.json", as_bytes(gcli2api(refresh_token="1//other"))),
    ]
    for order in (files, files[::-1]):
        items = {item.source: item for item in parse_all(order)}
        assert len(items) == 2
        beside, elsewhere = items["creds/a.json"], items["other/a.json"]
        assert (beside.known.state, beside.email) == ("disabled", "bob@example.org")
        assert beside.label == "bob@example.org"
        assert elsewhere.known.state == ""


def test_a_file_with_one_login_gives_it_its_name_and_one_with_several_does_not():
    (item,) = parse("some/folder/a.json", as_bytes(gcli2api()))
    assert item.name == "a.json"
    items = parse("a.json", as_bytes(cliproxyapi(project="project-one,project-two")))
    assert {item.name for item in items} == {""}
    (item,) = parse("keys.txt", api_key().encode())
    assert item.name == ""


@pytest.mark.parametrize("name", ["../../etc/passwd.json", "..\\..\\x.json", "a/b\x00c.json"])
def test_a_name_keeps_nothing_of_a_path(name):
    document = {"filename": name, "credential_data": gcli2api()}
    (item,) = parse("dump.json", as_bytes(document))
    assert not set('/\\\x00:*?"<>|') & set(item.name)
    assert not item.name.startswith(".")


@given(st.text(max_size=400))
def test_no_dump_raises_or_hangs(text):
    list(sql_dump.rows("CREATE TABLE t (a INT, b TEXT);\nINSERT INTO t VALUES " + text))
    list(sql_dump.rows("COPY t (a, b) FROM stdin;\n" + text))


@pytest.mark.parametrize(
    "piece",
    [
        "INSERT INTO t VALUES ('x\n",
        "CREATE TABLE t (\n",
        "COPY t (\n",
        "INSERT INTO t VALUES (1,\n",
    ],
)
def test_a_dump_of_beginnings_takes_no_longer_than_it_is_long(piece):
    """Each would be searched to the end of the text: that many times a long way is for ever."""
    assert list(sql_dump.rows(piece * 100_000)) == []


@given(st.binary(max_size=2000), st.binary(max_size=200))
def test_no_sqlite_file_raises(data, log):
    items = parse_all([("a.db", b"SQLite format 3\x00" + data), ("a.db-wal", log)])
    assert all(isinstance(item, Found | Unusable) for item in items)


def test_no_reason_tells_a_secret(database):
    connection, path = database
    broken = json.dumps(gcli2api())[:-30]
    connection.execute(
        "INSERT INTO credentials (filename, credential_data) VALUES ('b.json', ?)", (broken,)
    )
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    items = parse("credentials.db", path.read_bytes())
    (bad,) = [item for item in items if isinstance(item, Unusable)]
    assert "no JSON object" in bad.reason
    assert REFRESH_TOKEN not in repr(items)


def test_tables_that_share_their_pages_are_not_read_again_and_again(tmp_path):
    path = tmp_path / "shared.db"
    with closing(sqlite3.connect(path)) as database:
        for number in range(20):
            database.execute(f"CREATE TABLE t{number} (a TEXT)")
        database.execute("INSERT INTO t0 VALUES (?)", ["x" * 1_000_000])
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 't0')"
        )
        database.commit()
    (item,) = parse("shared.db", path.read_bytes())
    assert "share their pages" in item.reason
