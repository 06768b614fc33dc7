-- raw.sessions: the exchange calendar (exchange_calendars, XNYS) as the runs knew it; a date whose hours change, or that turns out not to be a session, is added again.
-- grain: session, known_at
-- sources: stage.sessions, fn.sessions_known_at
-- lookback: none
-- null: none
-- columns:
--   session: trading date in New York
--   opens_at: open of the session
--   closes_at: close of the session
--   is_session: false where the date, listed as a session before, is not one
--   known_at: when this version became known
--   run_id: run that added it
create table if not exists raw.sessions (
    session date not null,
    opens_at timestamptz not null,
    closes_at timestamptz not null,
    is_session boolean not null,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.sessions by name
with last_version as (
    from fn.sessions_known_at('infinity'::timestamptz)
),

changed as (
    select s.session, s.opens_at, s.closes_at, true as is_session
    from stage.sessions as s
    left join last_version as v using (session)
    where v.session is null or not v.is_session or (s.opens_at, s.closes_at) <> (v.opens_at, v.closes_at)
),

cancelled as (
    select v.session, v.opens_at, v.closes_at, false as is_session
    from last_version as v
    anti join stage.sessions using (session)
    where v.is_session
        and v.session between (select min(session) from stage.sessions) and (select max(session) from stage.sessions)
)

select *, getvariable('known_at') as known_at, getvariable('run_id') as run_id
from (from changed union all from cancelled)
order by session;
