-- raw.pairs: every version of the pairs file, whole, added when its content changes.
-- grain: small_symbol, large_symbol, known_at
-- sources: stage.pairs
create table if not exists raw.pairs (
    small_symbol varchar not null,
    large_symbol varchar not null,
    headline boolean not null,
    earnings boolean not null,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.pairs by name
with last_version as (
    select * exclude (known_at, run_id)
    from raw.pairs
    where known_at = (select max(known_at) from raw.pairs)
),

changes as (
    (from stage.pairs except all from last_version)
    union all
    (from last_version except all from stage.pairs)
)

select *, getvariable('known_at') as known_at, getvariable('run_id') as run_id
from stage.pairs
where exists (from changes);
