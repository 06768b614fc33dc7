-- raw.universe: every version of the universe file, whole, added when its content changes.
-- grain: symbol, known_at
-- sources: stage.universe
-- null: a field left blank in the file; flow_group and in_breadth in versions read before these columns existed
-- columns:
--   symbol: ticker
--   name: name of the fund or company
--   kind: fund, sector (a sector fund) or stock
--   size_bucket: mega, large, mid, small or micro
--   sector: sector the instrument stands for
--   peer_group: instruments that are compared side by side
--   flow_group: funds whose flows are summed
--   in_breadth: signals.breadth counts the instrument
--   issuer: who publishes the fund's files
--   issuer_id: the issuer's identifier of the fund
--   index_name: index the fund follows
--   benchmark: symbol its excess returns are measured against
--   inception: first session with a price
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
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.universe by name
with last_version as (
    -- Named, because a column added to an older warehouse stands last there.
    select
        symbol, name, kind, size_bucket, sector, peer_group, flow_group, in_breadth, issuer, issuer_id, index_name, benchmark, inception
    from raw.universe
    where known_at = (select max(known_at) from raw.universe)
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
)

select *, getvariable('known_at') as known_at, getvariable('run_id') as run_id
from this_version
where exists (from changes);
