-- stage.answers: whether the answers of the sources, after rows were set aside, cover enough of the universe to
--   publish.
-- dataset: prices

-- expectation: most_symbols_answered
-- severity: critical
-- sentence: More than a fifth of the universe got no usable answer from the source.
with unanswered as (from stage.answers where dataset = 'prices' and error is not null)
select symbol, null::date as session, error
from unanswered
where (select count(*) from unanswered) > 0.2 * (select count(*) from stage.universe);

-- expectation: benchmark_complete
-- severity: critical
-- column: session
-- sentence: A benchmark has no good bar for one of the last ten sessions, so nothing can be measured against it.
with benchmarks as (select distinct benchmark as symbol from stage.universe where benchmark is not null),
last_sessions as (
    select session from stage.sessions where session <= getvariable('target_session') order by session desc limit 10
),
known as (
    select symbol, session from fn.prices_known_at('infinity'::timestamptz)
    union select symbol, session from stage.prices where not is_withdrawn
)
select b.symbol, s.session
from benchmarks as b
join stage.universe as u on u.symbol = b.symbol
join last_sessions as s on s.session >= coalesce(u.inception, s.session)
anti join known on known.symbol = b.symbol and known.session = s.session;
