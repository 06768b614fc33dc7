-- report.percentiles: how unusual each pair's ratio is: its place among earlier ratios, and its standard deviations from the mean of a year.
-- grain: pair
-- sources: core.pairs, signals.relative_strength
-- null: where the window is not full
-- columns: those of signals.relative_strength; headline; first_session of the pair
select
    r.pair,
    p.headline,
    r.ratio_z252,
    r.ratio_percentile_5y,
    r.percentile_all,
    r.days_leading,
    r.spread_1m,
    r.spread_12m,
    f.first_session
from signals.relative_strength as r
join core.pairs as p on p.pair = r.pair
join (select pair, min(session) as first_session from signals.relative_strength group by pair) as f on f.pair = r.pair
where r.session = getvariable('session')
order by p.headline desc, r.pair
