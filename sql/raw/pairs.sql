-- raw.pairs: every version of the pairs file, whole, added when its content changes.
-- grain: small_symbol, large_symbol, known_at
-- sources: stage.pairs, fn.pairs_known_at
-- lookback: none
-- null: is_withdrawn in versions recorded before this column was added
-- columns:
--   small_symbol: the leg in the numerator
--   large_symbol: the leg in the denominator
--   headline: the pair the evidence rests on
--   earnings: the pair of funds whose companies' earnings are compared
--   is_withdrawn: listed by the version before and no longer; NULL in versions recorded before this column was added
--   known_at: when this version became known
--   run_id: run that added it
create table if not exists raw.pairs (
    small_symbol varchar not null,
    large_symbol varchar not null,
    headline boolean not null,
    earnings boolean not null,
    is_withdrawn boolean,
    known_at timestamptz not null,
    run_id varchar not null
);

insert into raw.pairs by name
with last_version as (
    select * exclude (known_at, run_id)
    from fn.pairs_known_at('infinity'::timestamptz)
),

changes as (
    (from stage.pairs except all from last_version)
    union all
    (from last_version except all from stage.pairs)
),

next_version as (
    select *, false as is_withdrawn from stage.pairs
    union all by name
    -- Records a version without any other row, that of an emptied file.
    select *, true as is_withdrawn from last_version anti join stage.pairs using (small_symbol, large_symbol)
)

select *, getvariable('known_at') as known_at, getvariable('run_id') as run_id
from next_version
where exists (from changes);
