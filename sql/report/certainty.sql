-- report.certainty: how much of what the verdict rests on is known at the session.
-- grain: subject
-- sources: core.thresholds, signals.rotation_evidence, signals.fund_flows_monthly, signals.earnings_momentum, signals.breadth
-- null: known where nothing says how much; needed where no level is set
-- columns: subject, in words; unit: count or percent; known; total, of how many; needed, the least that carries a verdict; missing, the symbols
--   without a price
with verdicts as (
    select count(verdict) as known, count(*) as total
    from signals.rotation_evidence
    where session = getvariable('session')
),

flows as (
    select members_known, members
    from signals.fund_flows_monthly
    where symbol = 'group:small_cap' and month = date_trunc('month', getvariable('session')) - interval 1 month
),

estimates as (
    from signals.earnings_momentum where session = getvariable('session')
),

breadth as (
    from signals.breadth where session = getvariable('session')
),

least as (
    select max(level) as coverage_pct from core.thresholds where subject = 'earnings' and measure = 'coverage_pct'
)

select 1 as place, 'Pieces of evidence' as subject, 'count' as unit, known::double as known, total::double as total, null::double as needed, null as missing
from verdicts
union all by name
select 2 as place, 'Small-cap funds with known flows, last completed month' as subject, 'count' as unit,
    (select members_known from flows)::double as known, (select members from flows)::double as total
union all by name
select 3 as place, 'Weight of small companies with estimates' as subject, 'percent' as unit,
    (select small_coverage_pct from estimates) as known, 100.0 as total, coverage_pct as needed
from least
union all by name
select 4 as place, 'Weight of large companies with estimates' as subject, 'percent' as unit,
    (select large_coverage_pct from estimates) as known, 100.0 as total, coverage_pct as needed
from least
union all by name
select 5 as place, 'Symbols without a price that session' as subject, 'count' as unit, missing::double as known, missing_symbols as missing
from breadth
order by place
