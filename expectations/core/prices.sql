-- core.prices: whether the prices agree with each other and with the NAVs.

-- expectation: adj_close_ends_at_close
-- severity: critical
-- column: adj_close
-- sentence: A symbol's adjusted close does not end at its close, or its total-return index does not start at 100 or
--   is not positive, although all distributions are known.
with unknown as (select symbol, min(session) as unknown_from from core.unknown_distributions group by symbol),
bounds as (
    select
        symbol,
        max(session) as session,
        arg_max(adj_close, session) as last_adj_close,
        arg_max(close, session) as last_close,
        arg_min(total_return_index, session) as first_index,
        bool_and(coalesce(total_return_index > 0 and isfinite(total_return_index), false)) filter (session < coalesce(u.unknown_from, 'infinity'))
            as is_positive,
        any_value(u.unknown_from) as unknown_from
    from core.prices
    left join unknown as u using (symbol)
    group by symbol
)
from bounds
-- Where a distribution is not known the adjusted close has no scale.
where not coalesce((unknown_from is not null or abs(last_adj_close / last_close - 1) <= 1e-9) and abs(first_index - 100) <= 1e-9 and is_positive, false);

-- expectation: sector_mix_near_spy
-- severity: info
-- column: return_1d
-- sentence: SPY's return lies outside the range of the eleven sector returns, or more than 1.5 % from their weighted
--   mean: one of the twelve is wrong.
with weights(sector, weight) as (
    -- Approximate weights of the sectors in the S&P 500 around the end of 2025, from S&P Dow Jones Indices.
    values
        ('technology', 0.34), ('financials', 0.13), ('communication_services', 0.105), ('consumer_discretionary', 0.105),
        ('health_care', 0.095), ('industrials', 0.08), ('consumer_staples', 0.05), ('energy', 0.03), ('utilities', 0.025),
        ('materials', 0.02), ('real_estate', 0.02)
),
last_sessions as (select session from core.sessions order by session desc limit 252),
mixes as (
    select session, sum(w.weight * r.return_1d) as mix, min(r.return_1d) as lowest, max(r.return_1d) as highest
    from core.sector_returns as r
    semi join last_sessions using (session)
    join weights as w using (sector)
    group by session
    having count(r.return_1d) = 11
)
select p.symbol, p.session, p.return_1d, m.mix, m.lowest, m.highest
from core.prices as p
join mixes as m using (session)
where p.symbol = 'SPY' and (not p.return_1d between m.lowest - 0.001 and m.highest + 0.001 or abs(p.return_1d - m.mix) > 0.015);

-- expectation: close_near_nav
-- severity: info
-- column: close
-- sentence: The close differs from the NAV by more than 2 %.
with last_sessions as (select session from core.sessions order by session desc limit 21)
select p.symbol, p.session, p.close, n.nav, p.close / n.nav - 1 as premium
from core.prices as p
semi join last_sessions using (session)
join core.fund_nav as n on n.symbol = p.symbol and n.session = p.session
where abs(p.close / n.nav - 1) > 0.02;
