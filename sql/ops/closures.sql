-- ops.closures: days on which a person says that the exchange was closed although the installed calendar has a session. Rows are only ever added.
-- grain: session
-- sources: none
-- lookback: none
-- null: none
-- columns:
--   session: the day; it is not a session while at most half of the universe has a bar on it
--   because: the reason given
--   accepted_by: who accepted it, a user of the operating system
--   accepted_at: when
create table if not exists ops.closures (
    session date not null,
    because varchar not null,
    accepted_by varchar not null,
    accepted_at timestamptz not null
);
