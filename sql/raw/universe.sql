-- raw.universe: every version of the universe file, whole, added when its content changes.
-- grain: symbol, known_at
-- sources: stage.universe
-- null: a field left blank in the file
-- columns:
--   symbol: ticker
--   name: name of the fund or company
--   kind: fund, sector (a sector fund) or stock
--   size_bucket: mega, large, mid, small or micro
--   sector: sector the instrument stands for
--   peer_group: instruments that are compared or added up with each other
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
    select * exclude (known_at, run_id)
    from raw.universe
    where known_at = (select max(known_at) from raw.universe)
),

changes as (
    (from stage.universe except all from last_version)
    union all
    (from last_version except all from stage.universe)
)

select *, getvariable('known_at') as known_at, getvariable('run_id') as run_id
from stage.universe
where exists (from changes);
