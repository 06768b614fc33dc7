-- stage.price_events: the distributions and splits of this run whose bar is not published: their day is not a session, their bar was set aside,
--   or the source has none. They are kept apart from the bar, so that a row set aside takes nothing with it that later rows need.
-- grain: symbol, event_date
-- sources: stage.fetched_prices, stage.prices, stage.rejected, stage.answers, stage.reach, fn.prices_known_since,
--   fn.price_event_versions_at, fn.value_differs
-- lookback: none
-- null: an amount that cannot be known: it is blank, the same day has two different ones, or an expectation on distributions rejected it; all
--   amounts of a withdrawn event
-- columns:
--   symbol: ticker
--   event_date: the day as the source gives it, which need not be a session
--   dividend: USD per share, 0 = none
--   capital_gain: USD per share, 0 = none
--   split_ratio: new shares per old share, 1 = none
--   source: source that has it
--   is_withdrawn: the source no longer has the event
with published as (
    select symbol, session from stage.prices where not is_withdrawn
    union
    select symbol, session from fn.prices_known_since('infinity'::timestamptz, (select first_session from stage.reach))
),

-- A distribution that does not fit the prices may be wrong itself. What a symbol rejected as a whole says is not known to be about it.
judged as (
    select
        f.symbol,
        f.session::date as event_date,
        f.dividend,
        f.capital_gain,
        case when f.split_ratio > 0 then f.split_ratio end as split_ratio,
        coalesce(bool_or(r.expectation in ('actions_plausible', 'adj_close_as_vendor', 'actions_known')), false) as is_doubtful,
        coalesce(bool_or(r.symbol is not null and r.session is null), false) as is_of_rejected_symbol
    from stage.fetched_prices as f
    left join stage.rejected as r
        on r.dataset = 'prices' and r.symbol = f.symbol and (r.session is null or r.session = f.session::date)
    where f.session::date <= getvariable('target_session')
    group by f.symbol, f.session::date, f.dividend, f.capital_gain, f.split_ratio
),

-- Listed twice with equal amounts, an event is one event.
given as (
    select
        symbol,
        event_date,
        case when count(distinct dividend) = 1 and count(dividend) = count(*) and not bool_or(is_doubtful) then any_value(dividend) end as dividend,
        case when count(distinct capital_gain) = 1 and count(capital_gain) = count(*) and not bool_or(is_doubtful) then any_value(capital_gain) end
            as capital_gain,
        case when count(distinct split_ratio) = 1 and count(split_ratio) = count(*) then any_value(split_ratio) end as split_ratio
    from judged
    anti join published as p on p.symbol = judged.symbol and p.session = judged.event_date
    where not is_of_rejected_symbol
    group by symbol, event_date
),

answered as (
    select symbol, start_session, end_session, coalesce(source, getvariable('source')) as source
    from stage.answers
    where dataset = 'prices' and error is null
),

events as (
    select g.*, coalesce(a.source, getvariable('source')) as source
    from given as g
    left join (select symbol, any_value(source) as source from answered group by symbol) as a using (symbol)
    where dividend is distinct from 0 or capital_gain is distinct from 0 or split_ratio is distinct from 1
),

known as (
    from fn.price_event_versions_at('infinity'::timestamptz)
),

changed as (
    select e.*
    from events as e
    left join known as k using (symbol, event_date)
    where k.symbol is null or k.is_withdrawn or fn.value_differs(e.dividend, k.dividend)
        or fn.value_differs(e.capital_gain, k.capital_gain) or fn.value_differs(e.split_ratio, k.split_ratio)
),

-- The source of the event answered for that day and no longer has it.
gone as (
    select distinct k.symbol, k.event_date, k.source
    from known as k
    join answered as a on a.symbol = k.symbol and a.source = k.source and k.event_date between a.start_session and a.end_session
    anti join events as e on e.symbol = k.symbol and e.event_date = k.event_date
    anti join published as p on p.symbol = k.symbol and p.session = k.event_date
    where not k.is_withdrawn
)

select *, false as is_withdrawn from changed
union all by name
select symbol, event_date, source, true as is_withdrawn from gone
order by symbol, event_date
