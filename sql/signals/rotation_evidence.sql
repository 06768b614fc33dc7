-- signals.rotation_evidence: six verdicts on the rotation from large to small companies each session, on three axes.
-- grain: session, evidence
-- sources: core.sessions, core.instruments, core.prices, core.pairs, core.flow_members, core.fund_nav, core.thresholds, fn.satisfies,
--   fn.fund_facts_known_at, fn.difference_beyond_rounding, signals.relative_strength, signals.breadth, signals.fund_flows_monthly, signals.sector_leadership, signals.mega_cap,
--   signals.earnings_momentum
-- lookback: all; three completed months, and the last known assets of each fund before them
-- null: value and verdict where any of the evidence's measures is not known that session, or the data cannot carry a verdict (outcome `known` of
--   core.thresholds); detail then names the missing data. missing_symbols where the evidence misses no price
-- formula: levels and comparisons in core.thresholds: 1 where all those for the rotation hold, -1 where all those against it do, else 0.
--   size_score = (conditions for - conditions against) / conditions; flow_pct_of_assets = 100 x net flow of the small-cap funds over the last
--   three completed months / their assets before these months, over the funds whose three months and assets are known; covered_assets_pct =
--   100 x last known assets of these funds / those of all members listed by then, not known where those of any member are not. A month that a flow
--   over its end completes counts from the session of that flow on
-- columns:
--   session: XNYS trading date
--   evidence: relative_strength, breadth, sector_leadership, mega_cap, fund_flows or earnings
--   axis: size, leadership or support
--   value: the measure shown, in the unit that core.thresholds names
--   threshold: level of value that speaks for the rotation
--   threshold_against: level of value that speaks against it
--   verdict: 1 for the rotation, -1 against it, 0 neither, NULL not known
--   detail: the finding, as a sentence
--   missing_symbols: of the symbols that the evidence is about, those that have started and have no price that session, in order, separated by
--     commas: the source gave none, or the audit holds it back until the next bar settles it
--   is_provisional: a symbol is missing, so that the row can still change
with followed as (
    select session, date_trunc('month', session)::date as month
    from core.sessions
    where session >= (select min(session) from core.prices)
),

headline as (
    select
        r.session, r.small_symbol, r.large_symbol,
        -- Legs that move alike differ by the rounding of their returns, which does not count as a lead.
        case when abs(r.spread_1m) <= 1e-12 then 0 else r.spread_1m end as spread_1m,
        case when abs(r.spread_3m) <= 1e-12 then 0 else r.spread_3m end as spread_3m,
        fn.difference_beyond_rounding(r.ratio, r.ratio_ma50) as ratio_less_ma50,
        fn.difference_beyond_rounding(r.ratio, r.ratio_ma200) as ratio_less_ma200
    from signals.relative_strength as r
    join core.pairs as p on p.pair = r.pair and p.headline
),

conditions as (
    select session, condition, difference
    from headline
    unpivot include nulls (difference for condition in (spread_1m, spread_3m, ratio_less_ma50, ratio_less_ma200))
),

size_scores as (
    select
        c.session,
        count(*) filter (t.outcome = 'for' and fn.satisfies(c.difference, t.comparison, t.level)) as conditions_for,
        count(*) filter (t.outcome = 'against' and fn.satisfies(c.difference, t.comparison, t.level)) as conditions_against,
        case
            when count(c.difference) = count(*) then (conditions_for - conditions_against) / count(distinct c.condition)
        end as size_score
    from conditions as c
    join core.thresholds as t on t.subject = 'size_condition' and t.measure = c.condition
    group by c.session
),

-- The flows of the three months before that of a session. They are complete, since the session itself is later; a month that a flow over
-- its end settled counts from the session of that flow on.
settled_months as (
    select m.symbol, m.month, m.net_flow_usd, m.settled_session
    from signals.fund_flows_monthly as m
    where m.net_flow_usd is not null and not m.is_partial and m.is_provisional is not true
),

flow_days as (
    select min(session) as from_session, month
    from followed
    group by month
    union
    select f.session, f.month
    from followed as f
    semi join settled_months as s on s.settled_session = f.session
),

flow_windows as (
    select from_session, month, month - interval 3 months as first_month, month - interval 1 day as last_day
    from flow_days
),

fund_starts as (
    select g.symbol, g.from_session, g.until_session, coalesce(least(g.inception, r.first_record), g.inception, r.first_record) as first_day
    from core.flow_members as g
    left join (select symbol, min(session) as first_record from core.fund_nav group by symbol) as r using (symbol)
    where g.flow_group = 'small_cap'
),

members as (
    select w.*, s.symbol
    from flow_windows as w
    join fund_starts as s
        on coalesce(s.from_session <= w.last_day, true) and coalesce(s.until_session > w.last_day, true)
        and coalesce(s.first_day <= w.last_day, true)
),

assets as (
    select symbol, session, total_net_assets_usd as assets_usd
    from core.fund_nav
    where total_net_assets_usd is not null
),

vendor_assets as (
    select symbol, as_of, total_net_assets_usd as assets_usd
    from fn.fund_facts_known_at('infinity'::timestamptz)
    where total_net_assets_usd is not null
),

member_assets as (
    select m.*, coalesce(late.assets_usd, vendor.assets_usd) as last_assets_usd, early.assets_usd as assets_before_usd
    from members as m
    asof left join assets as late on late.symbol = m.symbol and late.session <= m.last_day
    asof left join vendor_assets as vendor on vendor.symbol = m.symbol and vendor.as_of <= m.last_day
    asof left join assets as early on early.symbol = m.symbol and early.session < m.first_month
),

known_months as (
    select m.from_session, m.symbol, s.month, s.net_flow_usd
    from members as m
    join settled_months as s
        on s.symbol = m.symbol and s.month >= m.first_month and s.month < m.month and coalesce(s.settled_session <= m.from_session, true)
),

member_flows as (
    select
        m.from_session,
        m.symbol,
        any_value(m.last_assets_usd) as last_assets_usd,
        any_value(m.assets_before_usd) as assets_before_usd,
        count(k.month) = 3 and any_value(m.assets_before_usd) is not null as is_known
    from member_assets as m
    left join known_months as k using (from_session, symbol)
    group by m.from_session, m.symbol
),

coverage as (
    select
        from_session,
        count(*) as members,
        count(*) filter (is_known) as members_known,
        string_agg(symbol, ', ' order by symbol) filter (last_assets_usd is null) as symbols_without_assets,
        sum(assets_before_usd order by symbol) filter (is_known) as assets_before_usd,
        case
            when count(last_assets_usd) = count(*) then
                100 * coalesce(sum(last_assets_usd order by symbol) filter (is_known), 0) / nullif(sum(last_assets_usd order by symbol), 0)
        end as covered_assets_pct
    from member_flows
    group by from_session
),

group_months as (
    select k.from_session, k.month, sum(k.net_flow_usd order by k.symbol) as net_flow_usd
    from known_months as k
    semi join (from member_flows where is_known) as m using (from_session, symbol)
    group by k.from_session, k.month
),

group_flows as (
    select
        from_session,
        sum(net_flow_usd order by month) as net_flow_usd,
        count(*) filter (net_flow_usd > 0)::double as months_in,
        count(*) filter (net_flow_usd < 0)::double as months_out,
        string_agg(strftime(month, '%b %Y') || format(' {:+.2f}', net_flow_usd / 1e9), ', ' order by month) as months_text
    from group_months
    group by from_session
),

flows as (
    select
        c.*,
        g.net_flow_usd,
        100 * g.net_flow_usd / nullif(c.assets_before_usd, 0) as flow_pct_of_assets,
        g.months_in,
        g.months_out,
        g.months_text
    from coverage as c
    left join group_flows as g using (from_session)
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
        h.small_symbol, h.large_symbol, h.spread_1m, h.spread_3m, h.ratio_less_ma50, h.ratio_less_ma200,
        c.size_score, c.conditions_for, c.conditions_against,
        b.sectors_beating_spy_3m::double as sectors_beating_spy_3m, b.sectors_counted_3m, b.equal_minus_cap_3m,
        w.flow_pct_of_assets, w.months_in, w.months_out, w.covered_assets_pct,
        w.net_flow_usd, w.months_text, w.members_known, w.members, w.symbols_without_assets,
        t.symbol as technology_symbol, t.rank_3m::double as technology_rank_3m, t.sectors, t.return_3m as technology_return_3m,
        m.mag7_minus_rest_3m,
        e.gap, e.period_end, e.small_growth_next_year, e.large_growth_next_year, e.small_coverage_pct, e.large_coverage_pct,
        -- Unlike least() NULL where either is.
        case
            when e.small_coverage_pct <= e.large_coverage_pct then e.small_coverage_pct
            when e.small_coverage_pct > e.large_coverage_pct then e.large_coverage_pct
        end as coverage_pct
    from followed as f
    left join headline as h using (session)
    left join size_scores as c using (session)
    left join signals.breadth as b using (session)
    asof left join flow_days as d on d.from_session <= f.session
    left join flows as w on w.from_session = d.from_session
    left join technology as t using (session)
    left join signals.mega_cap as m using (session)
    left join signals.earnings_momentum as e using (session)
),

measures as (
    select session, measure, value
    from board
    unpivot include nulls (
        value for measure in (
            size_score, sectors_beating_spy_3m, equal_minus_cap_3m, technology_rank_3m, mag7_minus_rest_3m,
            flow_pct_of_assets, months_in, months_out, covered_assets_pct, gap, coverage_pct
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
        count(m.value) = count(*)
            and coalesce(bool_and(fn.satisfies(m.value, t.comparison, t.level)) filter (t.outcome = 'known'), true) as is_known,
        bool_and(fn.satisfies(m.value, t.comparison, t.level)) filter (t.outcome = 'for') as speaks_for,
        bool_and(fn.satisfies(m.value, t.comparison, t.level)) filter (t.outcome = 'against') as speaks_against
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
                || case when b.spread_1m > 0 then 'beat' when b.spread_1m < 0 then 'trailed' else 'matched' end
                || ' large caps (' || b.large_symbol || ')' || format(' by {:.1f} % over one month', 100 * abs(b.spread_1m))
                || case when sign(b.spread_1m) = sign(b.spread_3m) then ' and' else ' but' end
                || case
                    when sign(b.spread_1m) = sign(b.spread_3m) then ''
                    when b.spread_3m > 0 then ' beat them'
                    when b.spread_3m < 0 then ' trailed them'
                    else ' matched them'
                end
                || format(' by {:.1f} % over three; ', 100 * abs(b.spread_3m))
                || 'their ratio is '
                || case when b.ratio_less_ma50 > 0 then 'above' when b.ratio_less_ma50 < 0 then 'below' else 'at' end
                || ' its 50-session average and '
                || case when b.ratio_less_ma200 > 0 then 'above' when b.ratio_less_ma200 < 0 then 'below' else 'at' end
                || ' its 200-session average (' || b.conditions_for || ' of 4 conditions for, ' || b.conditions_against || ' against).'
            when 'breadth' then
                b.sectors_beating_spy_3m::integer || ' of ' || b.sectors_counted_3m || ' sectors beat the market over three months '
                || case when (b.sectors_beating_spy_3m > b.sectors_counted_3m / 2) = (b.equal_minus_cap_3m > 0) then 'and' else 'but' end
                || ' the average large company '
                || case when b.equal_minus_cap_3m > 0 then 'beat' when b.equal_minus_cap_3m < 0 then 'trailed' else 'matched' end
                || format(' it by {:.1f} %.', 100 * abs(b.equal_minus_cap_3m))
            when 'sector_leadership' then
                'Technology (' || b.technology_symbol || ') ranks ' || b.technology_rank_3m::integer || ' of ' || b.sectors
                || format(' sectors over three months, with a return of {:.1f} %.', 100 * b.technology_return_3m)
            when 'mega_cap' then
                'The Magnificent Seven '
                || case when b.mag7_minus_rest_3m > 0 then 'beat' when b.mag7_minus_rest_3m < 0 then 'trailed' else 'matched' end
                || format(' the average large company by {:.1f} % over three months.', 100 * abs(b.mag7_minus_rest_3m))
            when 'fund_flows' then
                format('Over the last three completed months small-cap funds with {:.0f} % of the assets ', b.covered_assets_pct)
                || case when b.net_flow_usd < 0 then 'lost ' else 'took in ' end
                || format('{:.2f} billion USD, {:.1f} % of their assets', abs(b.net_flow_usd) / 1e9, abs(b.flow_pct_of_assets))
                || ' (' || b.months_text || '; ' || b.members_known || ' of ' || b.members || ' funds known).'
            when 'earnings' then
                format(
                    'Analysts expect the earnings of small companies to grow by {:.1f} % in {}, of large ones by {:.1f} % '
                    || '(estimates cover {:.0f} and {:.0f} % of the funds).',
                    100 * b.small_growth_next_year, year(b.period_end), 100 * b.large_growth_next_year,
                    b.small_coverage_pct, b.large_coverage_pct
                )
        end as sentence,
        case j.evidence
            when 'relative_strength' then
                case
                    when not exists (from core.pairs where headline) then 'the universe has no pairs.'
                    else 'the headline pair has no price that session, or its 200-session window is not full.'
                end
            when 'breadth' then 'no sector, or not the equal-weight fund, has a full three-month window that session.'
            when 'sector_leadership' then 'technology has no full three-month window that session.'
            when 'mega_cap' then 'the Magnificent Seven, or the equal-weight fund, have no full three-month window that session.'
            when 'fund_flows' then
                case
                    when coalesce(b.members, 0) = 0 then 'the universe has no fund in the flow group small_cap.'
                    when b.symbols_without_assets is not null then 'the assets of ' || b.symbols_without_assets || ' are not known.'
                    when b.members_known = 0 then 'of no small-cap fund are the flows of the last three completed months known.'
                    else
                        'the ' || b.members_known || ' of ' || b.members || ' small-cap funds whose last three months are known hold '
                        || format('{:.0f} % of their assets; half is needed.', b.covered_assets_pct)
                end
            when 'earnings' then
                case
                    when b.gap is null and b.coverage_pct >= 50 then
                        'the companies of one side together earn nothing in the year before, from which no growth can be computed.'
                    when b.gap is null or b.coverage_pct is null then 'there are no estimates of the last 20 sessions for both sides.'
                    else
                        format(
                            'estimates cover {:.0f} % of the small fund and {:.0f} % of the large one; half of each is needed.',
                            b.small_coverage_pct, b.large_coverage_pct
                        )
                end
        end as missing_sentence
    from judged as j
    join board as b using (session)
),

needed as (
    select 'relative_strength' as evidence, unnest([small_symbol, large_symbol]) as symbol from core.pairs where headline
    union
    select unnest(['breadth', 'sector_leadership']) as evidence, symbol from core.instruments where kind = 'sector'
    union
    select unnest(['breadth', 'mega_cap']) as evidence, symbol from core.instruments where peer_group = 'equal_weight'
    union
    select 'breadth' as evidence, benchmark as symbol from core.instruments where kind = 'sector' or peer_group = 'equal_weight'
    union
    select 'mega_cap' as evidence, symbol from core.instruments where kind = 'stock' and peer_group = 'mag7'
),

lacking as (
    select n.evidence, f.session, string_agg(n.symbol, ', ' order by n.symbol) as missing_symbols
    from needed as n
    join (select symbol, min(session) as first_session from core.prices group by symbol) as s on s.symbol = n.symbol
    join followed as f on f.session >= s.first_session
    anti join core.prices as p on p.symbol = n.symbol and p.session = f.session
    group by n.evidence, f.session
),

axes as (
    from (
        values
            ('relative_strength', 'size'),
            ('breadth', 'leadership'),
            ('sector_leadership', 'leadership'),
            ('mega_cap', 'leadership'),
            ('fund_flows', 'support'),
            ('earnings', 'support')
    ) as named (evidence, axis)
)

select
    s.session,
    s.evidence,
    a.axis,
    case when s.is_known then s.shown_value end as value,
    s.threshold,
    s.threshold_against,
    case when not s.is_known then null when s.speaks_for then 1 when s.speaks_against then -1 else 0 end as verdict,
    case
        when not s.is_known then 'Not known: ' || coalesce('no price that session of ' || l.missing_symbols || '.', s.missing_sentence)
        else s.sentence || coalesce(' Provisional: no price that session of ' || l.missing_symbols || '.', '')
    end as detail,
    l.missing_symbols,
    l.missing_symbols is not null as is_provisional
from spoken as s
join axes as a using (evidence)
left join lacking as l using (evidence, session)
order by s.session, s.evidence
