-- raw.universe: every version of the universe file, whole, added when its content changes.
-- grain: symbol, known_at
-- sources: stage.universe, fn.universe_known_at
-- lookback: none
-- null: a field left blank in the file; flow_group and in_breadth in versions read before these columns existed
-- columns:
--   symbol: ticker
--   name: name of the fund or company
--   kind: fund, sector (a sector fund), stock or index
--   size_bucket: mega, large, mid, small or micro
--   sector: sector the instrument stands for
--   peer_group: instruments that are compared side by side
--   flow_group: funds whose flows are summed
--   in_breadth: signals.breadth counts the instrument
--   issuer: publisher of the fund's files
--   issuer_id: the issuer's identifier of the fund
--   index_name: index the fund follows
--   benchmark: symbol its excess returns are measured against
--   inception: first session with a price
--   is_withdrawn: listed by the version before and no longer; NULL in versions recorded before this column was added
--   known_at: when this version became known
--   run_id: run that added it
create table if not exists raw.universe (
    symbol varchar not null,
    name varchar not null,
    kind varchar not null,
    size_bucket varchar,
    sector varchar,
    peer_group varchar,
    flow_group varchar,
    in_breadth boolean,
    issuer varchar,
    issuer_id varchar,
    index_name varchar,
    benchmark varchar,
    inception date,
    is_withdrawn boolean,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.universe by name
with last_version as (
    -- By name, because a column that was added to an older warehouse is last there.
    select
        symbol, name, kind, size_bucket, sector, peer_group, flow_group, in_breadth, issuer, issuer_id, index_name, benchmark, inception
    from fn.universe_known_at('infinity'::timestamptz)
),

this_version as (
    select
        symbol, name, kind, size_bucket, sector, peer_group, flow_group, in_breadth, issuer, issuer_id, index_name, benchmark, inception
    from stage.universe
),

changes as (
    (from this_version except all from last_version)
    union all
    (from last_version except all from this_version)
),

next_version as (
    select *, false as is_withdrawn from this_version
    union all by name
    -- Records a version without any other row, that of an emptied file.
    select *, true as is_withdrawn from last_version anti join this_version using (symbol)
)

select *, getvariable('known_at') as known_at, getvariable('run_id') as run_id
from next_version
where exists (from changes);
