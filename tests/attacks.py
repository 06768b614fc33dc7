"""Statements that would change the warehouse, read another file, or exhaust the machine: `{home}` is the warehouse's folder, `{folder}` one with a
file of the user's."""

#: Each is refused by `rotation sql` and by the page of `rotation serve`.
ATTACKS = [
    "attach '{home}/build.duckdb' as b (read_write)",
    "attach '{home}/build.duckdb' as b (read_only)",
    "copy (select 1) to '{home}/build.duckdb'",
    "copy core.t to '{folder}/stolen.csv'",
    "explain analyze copy (select 1) to '{folder}/stolen.csv'",
    "export database '{folder}/stolen'",
    "import database '{folder}'",
    "from read_csv('{folder}/mine.csv')",
    "from '{folder}/mine.csv'",
    "from read_text('{folder}/mine.csv')",
    "from read_blob('{home}/build.duckdb')",
    "from read_duckdb('{home}/build.duckdb', table_name = 't')",
    "from glob('{folder}/*')",
    "from sniff_csv('{folder}/mine.csv')",
    "from query('from read_text(''{folder}/mine.csv'')')",
    "from json_execute_serialized_sql(json_serialize_sql('from read_text(''{folder}/mine.csv'')'))",
    "copy core.t from '{folder}/mine.csv'",
    "explain analyze copy (select 1) to '{folder}/stolen.csv'",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "reset enable_external_access",
    "set lock_configuration = false",
    "set allowed_directories = ['{folder}']",
    "pragma profiling_output = '{folder}/stolen'",
    "set log_query_path = '{folder}/stolen'",
    "create table core.x as select 1",
    "create persistent secret s (type s3, key_id 'a', secret 'b')",
    "from duckdb_secrets()",
    "from query('from duckdb_secrets()')",
    "from \"Query\" /* a */ ('from which_secret(''x'', ''s3'')')",
    "select getenv('PATH')",
    "insert into core.t values (2)",
    "delete from core.t",
    "drop table core.t",
]

#: What else of DuckDB writes, reads files, reaches the network or changes settings; only the campaign tries it.
MORE_ATTACKS = [
    *(
        f"from {function}('{path}')"
        for function in (
            "read_csv", "read_csv_auto", "read_json", "read_json_auto", "read_json_objects", "read_json_objects_auto", "read_ndjson",
            "read_ndjson_auto", "read_ndjson_objects", "read_parquet", "parquet_scan", "parquet_metadata", "parquet_schema",
            "parquet_file_metadata", "parquet_kv_metadata", "parquet_full_metadata", "read_text", "read_blob", "read_duckdb", "glob", "sniff_csv",
        )
        for path in ("{folder}/mine.csv", "http://127.0.0.1:9/x.csv", "s3://bucket/x", "/proc/self/environ", "{home}/../mine.csv")
    ),
    *(
        f"set {scope}{setting} = {value}"
        for scope in ("", "global ")
        for setting, value in {
            "memory_limit": "'100GB'", "threads": "100", "temp_directory": "'{folder}/tmp'", "secret_directory": "'{folder}/s'",
            "extension_directory": "'{folder}/e'", "custom_extension_repository": "'http://127.0.0.1:9'", "home_directory": "'{folder}'",
            "allow_unsigned_extensions": "true", "autoload_known_extensions": "true", "autoinstall_known_extensions": "true",
            "http_proxy": "'127.0.0.1:9'", "python_enable_replacements": "true", "allowed_paths": "['{folder}/mine.csv']",
            "allow_community_extensions": "true", "disabled_filesystems": "''", "profiling_output": "'{folder}/p'", "logging_storage": "'file'",
            "access_mode": "'READ_WRITE'", "enable_external_file_cache": "false", "max_temp_directory_size": "'100GB'",
        }.items()
    ),
    "copy (select 1 as a, 2 as b) to '{folder}/parts' (format parquet, partition_by (a))",
    "copy core.t to '/dev/stdout'",
    "copy core.t to 'http://127.0.0.1:9/x.csv'",
    "copy from database rotation to memory",
    "attach '{folder}/new.duckdb' as n",
    "attach 'http://127.0.0.1:9/x.duckdb' as n",
    "attach 'sqlite:{folder}/mine.csv' as s (type sqlite)",
    "attach 'dbname=x' as s (type postgres)",
    "attach 'ducklake:{folder}/x.ducklake' as l",
    "from sqlite_scan('{folder}/mine.csv', 't')",
    "from postgres_scan('dbname=x', 'public', 't')",
    "from iceberg_scan('{folder}')",
    "from delta_scan('{folder}')",
    "from read_xlsx('{folder}/mine.csv')",
    "from st_read('{folder}/mine.csv')",
    "install json from 'http://127.0.0.1:9/x'",
    "force install httpfs",
    "install spatial from community",
    "load '{folder}/mine.csv'",
    "update extensions",
    "from sql_auto_complete('sel')",
    "from which_secret('s3://x', 's3')",
    "create secret s (type s3, key_id 'a', secret 'b')",
    "create secret s (type http, bearer_token 'a')",
    "drop secret s",
    "call enable_logging(storage = 'file', storage_config = {{'path': '{folder}/log'}})",
    "pragma enable_profiling = 'json'; pragma profiling_output = '{folder}/p'",
    "alter table core.t add column b int",
    "truncate core.t",
    "update core.t set a = 2",
    "merge into core.t using (select 1 as a) as s on t.a = s.a when matched then delete",
    "drop schema core cascade",
    "create schema x",
    "create or replace view core.t as select 1",
    "create index i on core.t(a)",
    "create type core.k as enum ('a')",
    "create sequence core.s",
    "create macro core.m() as 1",
    "comment on table core.t is 'x'",
    "explain analyze create table core.y as select 1",
    "explain analyze delete from core.t",
    "with gone as (delete from core.t returning *) from gone",
    "select system('id')",
    "select getenv('ROTATION_ALERT_URLS')",
    "from query_table('{folder}/mine.csv')",
    "from read_csv('{folder}/' || 'mine.csv')",
    "prepare x as copy core.t to '{folder}/x'; execute x",
    "select 1; copy core.t to '{folder}/x'",
    "begin; delete from core.t; commit",
    "from os",
    "from __builtins__",
]  # fmt: skip

#: End the process of DuckDB 1.5.5 and 1.5.6.
CRASHES = [
    "from pandas_scan(null)",
    "select json_structure(repeat('[', 5000000) || repeat(']', 5000000))",
]

#: Take time and memory without end.
BOMBS = {
    "one long function": "select levenshtein(repeat('a', 400000), repeat('b', 400000))",
    "planning": "with a0 as (select 1 as x), "
    + ", ".join(f"a{n} as (select a.x from a{n - 1} as a, a{n - 1} as b)" for n in range(1, 60))
    + " select count(*) from a59",
    "cross join": "select count(*) from range(10000000) as a, range(10000000) as b",
    "recursion": "with recursive r(n) as (select 1 union all select n + 1 from r) select max(n) from r",
    "recursion that grows": "with recursive r(n) as (select 1 union all select n + 1 from r, range(10)) select max(n) from r",
    "nested functions": "select list_reduce(range(30000000), lambda a, b: a + b)",
    "waiting": "select sleep_ms(600000)",
    "one large text": "select repeat('x', 900000000) as a",
    "many texts": "select repeat('x', 1000000) || range as a from range(10001)",
    "a long list": "select list(range) from range(500000000)",
    "a padded text": "select lpad('x', 2000000000, 'y')",
    "bits": "select bitstring('1', 2000000000)",
    "sorting": "select range, repeat('x', 100) || range as a from range(100000000) order by a desc",
    "a wide pivot": "pivot (select range as a, 1 as b from range(99000)) on a using sum(b)",
    "nested brackets": "select " + "(" * 3900 + "1" + ")" * 3900,
    "nested lists": "select " + "[" * 3900 + "1" + "]" * 3900,
    "a long sum": "select 1" + " + 1" * 1900,
    "a regular expression": "select regexp_matches(repeat('a', 100000), repeat('(a?)', 200) || repeat('a', 200))",
}
