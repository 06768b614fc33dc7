-- signals.rotation_evidence: the evidence board: six verdicts on the rotation from large to small companies, each session.
-- grain: session, evidence
-- sources: core.sessions, core.prices, core.pairs, core.thresholds, core.holds, core.above, signals.relative_strength, signals.breadth,
--   signals.fund_flows_monthly, signals.sector_leadership, signals.mega_cap, signals.earnings_momentum
-- lookback: 252 sessions, and three completed months
-- null: value and verdict where any of the evidence's measures is not known that session; detail then says what is missing
-- formula: levels and comparisons in core.thresholds: 1 where all those for the rotation hold, -1 where all those against it do, else 0
-- columns:
--   session: XNYS trading date
--   evidence: relative_strength, breadth, fund_flows, sector_leadership, mega_cap or earnings
--   value: the measure shown, in the unit that core.thresholds names
--   threshold: level of value that speaks for the rotation
--   threshold_against: level of value that speaks against it
--   verdict: 1 for the rotation, -1 against it, 0 neither, NULL not known
--   detail: what was found, a sentence
with followed as (
    select session
    from core.sessions
    where session >= (select min(session) from core.prices)
),

headline as (
    select
        r.session, r.small_symbol, r.large_symbol, r.spread_3m,
        core.above(r.ratio, r.ratio_ma200) as ratio_less_ma200
    from signals.relative_strength as r
    join core.pairs as p on p.pair = r.pair and p.headline
),

completed_months as (
    from signals.fund_flows_monthly where symbol = 'group:small_cap'
),

-- The three months before that of the session; they are complete, since the session itself is later.
flows as (
    select
        f.session,
        case when count(m.net_flow_usd) = 3 then sum(sign(m.net_flow_usd)) end as months_in_less_out,
        string_agg(strftime(m.month, '%b %Y') || format(' {:+.2f}', m.net_flow_usd / 1e9), ', ' order by m.month) as months_text,
        last(m.members_known order by m.month) as members_known,
        last(m.members order by m.month) as members
    from followed as f
    left join completed_months as m
        on m.month between date_trunc('month', f.session) - interval 3 months and date_trunc('month', f.session) - interval 1 month
    group by f.session
),

technology as (
    select session, symbol, return_3m, rank_3m, count(*) over (partition by session) as sectors
    from signals.sector_leadership
    where return_3m is not null
    qualify sector = 'technology'
),

board as (
    select
        f.session,
        h.small_symbol, h.large_symbol, h.spread_3m, h.ratio_less_ma200,
        b.sectors_beating_spy_3m::double as sectors_beating_spy_3m, b.sectors_counted_3m, b.equal_minus_cap_3m,
        w.months_in_less_out, w.months_text, w.members_known, w.members,
        t.symbol as technology_symbol, t.rank_3m::double as technology_rank_3m, t.sectors, t.return_3m as technology_return_3m,
        m.mag7_minus_rest_3m,
        e.gap, e.small_growth_next_year, e.large_growth_next_year, e.small_coverage_pct, e.large_coverage_pct
    from followed as f
    left join headline as h using (session)
    left join signals.breadth as b using (session)
    left join flows as w using (session)
    left join technology as t using (session)
    left join signals.mega_cap as m using (session)
    left join signals.earnings_momentum as e using (session)
),

measures as (
    select session, measure, value
    from board
    unpivot include nulls (
        value for measure in (
            spread_3m, ratio_less_ma200, sectors_beating_spy_3m, equal_minus_cap_3m, months_in_less_out, technology_rank_3m,
            mag7_minus_rest_3m, gap
        )
    )
),

judged as (
    select
        m.session,
        t.subject as evidence,
        max(m.value) filter (t.is_shown) as shown_value,
        max(t.level) filter (t.is_shown and t.outcome = 'for') as threshold,
        max(t.level) filter (t.is_shown and t.outcome = 'against') as threshold_against,
        count(m.value) = count(*) as is_known,
        bool_and(core.holds(m.value, t.comparison, t.level)) filter (t.outcome = 'for') as speaks_for,
        bool_and(core.holds(m.value, t.comparison, t.level)) filter (t.outcome = 'against') as speaks_against
    from measures as m
    join core.thresholds as t on t.measure = m.measure
    group by m.session, t.subject
),

spoken as (
    select
        j.*,
        case j.evidence
            when 'relative_strength' then
                'Small caps (' || b.small_symbol || ') '
                || case when b.spread_3m > 0 then 'beat' when b.spread_3m < 0 then 'trailed' else 'matched' end
                || ' large caps (' || b.large_symbol || ')' || format(' by {:.1f} %', 100 * abs(b.spread_3m)) || ' over three months '
                || case when sign(b.spread_3m) = sign(b.ratio_less_ma200) then 'and' else 'but' end || ' their ratio is '
                || case when b.ratio_less_ma200 > 0 then 'above' when b.ratio_less_ma200 < 0 then 'below' else 'at' end
                || ' its 200-day average.'
            when 'breadth' then
                b.sectors_beating_spy_3m::integer || ' of ' || b.sectors_counted_3m || ' sectors beat the market over three months '
                || case when (b.sectors_beating_spy_3m > b.sectors_counted_3m / 2) = (b.equal_minus_cap_3m > 0) then 'and' else 'but' end
                || ' the average large company '
                || case when b.equal_minus_cap_3m > 0 then 'beat' when b.equal_minus_cap_3m < 0 then 'trailed' else 'matched' end
                || format(' it by {:.1f} %.', 100 * abs(b.equal_minus_cap_3m))
            when 'fund_flows' then
                case b.months_in_less_out
                    when 3 then 'Money flowed into small-cap funds in each of the last three months'
                    when -3 then 'Money flowed out of small-cap funds in each of the last three months'
                    else 'Money did not flow one way through small-cap funds in the last three months'
                end
                || ' (billion USD: ' || b.months_text || '; ' || b.members_known || ' of ' || b.members || ' funds known).'
            when 'sector_leadership' then
                'Technology (' || b.technology_symbol || ') ranks ' || b.technology_rank_3m::integer || ' of ' || b.sectors
                || format(' sectors over three months, with a return of {:.1f} %.', 100 * b.technology_return_3m)
            when 'mega_cap' then
                'The Magnificent Seven '
                || case when b.mag7_minus_rest_3m > 0 then 'beat' when b.mag7_minus_rest_3m < 0 then 'trailed' else 'matched' end
                || format(' the average large company by {:.1f} % over three months.', 100 * abs(b.mag7_minus_rest_3m))
            when 'earnings' then
                format(
                    'Analysts expect the earnings of small companies to grow by {:.1f} % next year, of large ones by {:.1f} % '
                    || '(estimates cover {:.0f} and {:.0f} % of the funds).',
                    100 * b.small_growth_next_year, 100 * b.large_growth_next_year, b.small_coverage_pct, b.large_coverage_pct
                )
        end as sentence,
        case j.evidence
            when 'relative_strength' then 'the headline pair has no price that session, or its 200-session window is not full.'
            when 'breadth' then 'no sector, or not the equal-weight fund, has a full three-month window that session.'
            when 'fund_flows' then
                'small-cap flows of the last three months are not all there (billion USD: ' || coalesce(b.months_text, 'none') || ').'
            when 'sector_leadership' then 'technology has no full three-month window that session.'
            when 'mega_cap' then 'the Magnificent Seven, or the equal-weight fund, have no full three-month window that session.'
            when 'earnings' then 'there are no estimates of the last 20 sessions for both sides.'
        end as missing_sentence
    from judged as j
    join board as b using (session)
)

select
    session,
    evidence,
    case when is_known then shown_value end as value,
    threshold,
    threshold_against,
    case when not is_known then null when speaks_for then 1 when speaks_against then -1 else 0 end as verdict,
    case when is_known then sentence else 'Not known: ' || missing_sentence end as detail
from spoken
order by session, evidence
