-- report.levels: where the funds that are compared stand within their range of 252 sessions.
-- grain: symbol
-- sources: core.instruments, core.pairs, core.prices, core.returns
-- null: low_252d, high_252d and place_in_range with fewer than 252 closes, as over a range of nothing; returns whose window is not full
-- formula: place_in_range = 100 x (close - low) / (high - low), of closes adjusted for splits; 100 is the high of 252 sessions
-- columns: symbol; name; close; return_1d, return_1m, return_12m, total returns; low_252d and high_252d of the close; place_in_range, 0 to 100
with followed as (
    select i.symbol, i.name, i.size_bucket
    from core.instruments as i
    where i.kind = 'fund'
        and (i.symbol in (select small_symbol from core.pairs union select large_symbol from core.pairs) or i.peer_group = 'mega_cap')
),

ranges as (
    select
        p.symbol,
        count(*) as closes,
        min(p.close) as low_252d,
        max(p.close) as high_252d
    from (
        select symbol, session, close
        from core.prices
        where session <= getvariable('session') and symbol in (select symbol from followed)
        qualify row_number() over (partition by symbol order by session desc) <= 252
    ) as p
    group by p.symbol
)

select
    f.symbol,
    f.name,
    p.close,
    r.return_1d,
    r.return_1m,
    r.return_12m,
    case when x.closes = 252 then x.low_252d end as low_252d,
    case when x.closes = 252 then x.high_252d end as high_252d,
    case when x.closes = 252 then 100 * (p.close - x.low_252d) / nullif(x.high_252d - x.low_252d, 0) end as place_in_range
from followed as f
join core.prices as p on p.symbol = f.symbol and p.session = getvariable('session')
left join core.returns as r on r.symbol = f.symbol and r.session = p.session
join ranges as x on x.symbol = f.symbol
order by case f.size_bucket when 'micro' then 1 when 'small' then 2 when 'mid' then 3 when 'large' then 4 else 5 end, f.symbol
