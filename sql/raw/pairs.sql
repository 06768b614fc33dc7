-- raw.pairs: every version of the pairs file, whole, added when its content changes.
-- grain: small_symbol, large_symbol, known_at
-- sources: stage.pairs
-- columns:
--   small_symbol: the leg in the numerator
--   large_symbol: the leg in the denominator
--   headline: the pair the evidence rests on
--   earnings: the pair of funds whose companies' earnings are compared
--   known_at: when this version became known
--   run_id: run that added it
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
