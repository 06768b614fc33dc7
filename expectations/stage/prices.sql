-- stage.prices: the bars of one run that are new or changed, before they are added to raw.prices.

-- expectation: types_as_declared
-- severity: critical
-- sentence: A column of the batch is missing, is unexpected, or does not have its declared type.
with declared(column_name, data_type) as (
    values
        ('symbol', 'VARCHAR'), ('session', 'DATE'), ('open', 'DOUBLE'), ('high', 'DOUBLE'),
        ('low', 'DOUBLE'), ('close', 'DOUBLE'), ('volume', 'BIGINT'), ('dividend', 'DOUBLE'),
        ('capital_gain', 'DOUBLE'), ('split_ratio', 'DOUBLE'), ('vendor_adj_close', 'DOUBLE'), ('source', 'VARCHAR'), ('times_given', 'BIGINT'),
        ('is_new', 'BOOLEAN'), ('is_revised', 'BOOLEAN'), ('is_withdrawn', 'BOOLEAN')
),
found as (
    select column_name, data_type
    from duckdb_columns()
    where database_name = current_database() and schema_name = 'stage' and table_name = 'prices'
)
select null::varchar as symbol, null::date as session, column_name, d.data_type as declared_type, f.data_type as found_type
from found as f
full join declared as d using (column_name)
where f.data_type is distinct from d.data_type;

-- expectation: not_after_session
-- severity: critical
-- sentence: The source gave a bar dated after the session of the run: unfinished, or from the future.
select symbol, session, close
from stage.prices
where session > getvariable('target_session');

-- expectation: in_universe
-- severity: critical
-- sentence: The source gave a symbol that is not in the universe.
select b.symbol, b.session, b.close
from stage.prices as b
anti join stage.universe using (symbol)
where not b.is_withdrawn;

-- expectation: on_a_session
-- severity: warning
-- sentence: The bar is dated on a day when the exchange was closed.
select b.symbol, b.session, b.close
from stage.prices as b
anti join stage.sessions using (session)
anti join (from stage.universe where kind = 'index') using (symbol)
where not b.is_withdrawn;

-- expectation: close_present
-- severity: warning
-- column: close
-- sentence: The bar has no close.
select symbol, session, open, high, low, close, volume
from stage.prices
anti join (from stage.universe where kind = 'index') using (symbol)
where close is null and not is_withdrawn;

-- expectation: prices_positive
-- severity: warning
-- sentence: A price is zero, negative or not finite.
select symbol, session, open, high, low, close
from stage.prices
left join (select symbol, true as is_index from stage.universe where kind = 'index') using (symbol)
where (least(open, high, low, close) <= 0 and is_index is null)
    or not isfinite(open) or not isfinite(high) or not isfinite(low) or not isfinite(close);

-- expectation: bar_consistent
-- severity: warning
-- sentence: The high is not the highest or the low is not the lowest price of the bar.
select symbol, session, open, high, low, close
from stage.prices
where high < greatest(open, low, close) * (1 - 1e-6 * sign(greatest(open, low, close)))
    or low > least(open, high, close) * (1 + 1e-6 * sign(least(open, high, close)));

-- expectation: volume_not_negative
-- severity: warning
-- column: volume
-- sentence: The volume is negative, or not a count of shares below 2^63.
select symbol, session, volume::double as volume
from stage.prices
where volume < 0
union all
select b.symbol, b.session, f.volume
from stage.prices as b
join stage.fetched_prices as f on f.symbol = b.symbol and f.session = b.session
where b.volume is null and f.volume is not null and not b.is_withdrawn;

-- expectation: actions_known
-- severity: warning
-- sentence: The dividend, the capital gain or the split ratio is blank, so whether there was one is not known; 0 means no
--   distribution and 1 no split.
select symbol, session, dividend, capital_gain, split_ratio
from stage.prices
where not is_withdrawn and (dividend is null or capital_gain is null or split_ratio is null);

-- expectation: actions_plausible
-- severity: warning
-- sentence: A distribution is negative or not smaller than the close before it, or the split ratio is not positive.
with with_actions as (
    select distinct symbol from stage.prices where dividend <> 0 or capital_gain <> 0 or split_ratio <> 1
),
-- A close that is not positive is a fault of its own bar, and says nothing about the next one.
steps as (
    select *, lag(case when close > 0 then close end ignore nulls) over (partition by symbol order by session) as previous_close
    from stage.bars
    semi join with_actions using (symbol)
)
select b.symbol, b.session, s.previous_close, b.dividend, b.capital_gain, b.split_ratio
from stage.prices as b
join steps as s on s.symbol = b.symbol and s.session = b.session
anti join (from stage.universe where kind = 'index') as i on i.symbol = b.symbol
where b.dividend < 0 or b.capital_gain < 0 or b.dividend + b.capital_gain >= s.previous_close or b.split_ratio <= 0
    or not isfinite(b.dividend + b.capital_gain + b.split_ratio);

-- expectation: history_not_truncated
-- severity: warning
-- sentence: The source was asked for the whole history and left out more than five bars it gave before; the whole
--   symbol is set aside.
select symbol, null::date as session, count(*) as bars_left_out, min(session) as first_left_out, max(session) as last_left_out
from stage.prices
where is_withdrawn
group by symbol
having count(*) > 5;

-- expectation: history_keeps_returns
-- severity: warning
-- column: close
-- sentence: The source was asked for the whole history again, and its daily returns differ from the known ones on more than three days and
--   more than 2 % of the known days: it may be the history of another instrument. The whole symbol is set aside.
with whole as (
    select symbol from stage.answers where dataset = 'prices' and is_full_history and error is null
),
given as (
    select symbol, session::date as session, max(close) as close, coalesce(max(split_ratio), 1) as split_ratio,
        coalesce(max(dividend), 0) + coalesce(max(capital_gain), 0) as paid
    from stage.fetched_prices
    semi join whole using (symbol)
    group by symbol, session::date
),
-- A bar that one side lacks moves no return of the other: both are measured between bars that both have.
steps as (
    select
        g.symbol,
        g.session,
        g.close,
        g.split_ratio,
        g.paid,
        k.close as known_close,
        coalesce(k.split_ratio, 1) as known_split_ratio,
        coalesce(k.dividend, 0) + coalesce(k.capital_gain, 0) as known_paid,
        fn.log_or_null(g.close / lag(g.close) over by_session) as step,
        fn.log_or_null(k.close / lag(k.close) over by_session) as known_step,
        least(lag(g.close) over by_session, lag(k.close) over by_session, g.close, k.close) as lowest_close
    from given as g
    join fn.prices_known_since(
        'infinity'::timestamptz, (select min(start_session) from stage.answers semi join whole using (symbol))
    ) as k on k.symbol = g.symbol and k.session = g.session
    where g.close > 0 and isfinite(g.close) and k.close > 0 and isfinite(k.close)
    window by_session as (partition by g.symbol order by g.session)
),
-- Prices may be rounded to a cent; adjustments for splits and payments fall on their days.
judged as (
    select *, abs(step - known_step) > 0.005 + 0.02 / lowest_close as is_other
    from steps
    where step is not null and known_step is not null
        and split_ratio = 1 and known_split_ratio = 1 and paid = 0 and known_paid = 0
)
select symbol, null::date as session, count(*) as days_compared, count(*) filter (is_other) as days_with_other_returns,
    min(session) filter (is_other) as first_other, max(session) filter (is_other) as last_other
from judged
group by symbol
having count(*) filter (is_other) > greatest(3, 0.02 * count(*));

-- expectation: no_session_missing
-- severity: warning
-- sentence: The source gave no bar for a session on which the symbol should have one.
with known as (
    -- An index is looked at for five days around a session.
    select symbol, session from fn.prices_known_since('infinity'::timestamptz, (select first_session - 5 from stage.reach))
    union select symbol, session from stage.prices where not is_withdrawn
),
begun_earlier as (
    select p.symbol, min(p.session) as session
    from raw.prices as p
    anti join (from raw.prices where is_withdrawn) as w on w.symbol = p.symbol and w.session = p.session and w.known_at > p.known_at
    where not p.is_withdrawn and p.session < (select first_session - 5 from stage.reach)
    group by p.symbol
),
-- The bond and currency markets have holidays of their own: an index may lack a session with a level within five days of it.
around as (
    select distinct symbol, session + days::integer as session
    from known
    semi join (from stage.universe where kind = 'index') as i using (symbol)
    cross join range(-5, 6) as near(days)
),
-- A recent session for which no symbol has a bar is one question, which session_has_bars asks.
with_bar as (
    select session from known
    union select session::date as session from stage.fetched_prices where close is not null
),
without_bar as (
    select session
    from (select session from stage.sessions where session <= getvariable('target_session') order by session desc limit 10)
    anti join with_bar using (session)
),
first_bars as (
    select symbol, min(session) as first_session from (select symbol, session from known union all from begun_earlier) group by symbol
)
select a.symbol, s.session
from (from stage.answers where dataset = 'prices') as a
join stage.universe as u on u.symbol = a.symbol
join stage.sessions as s on s.session between a.start_session and a.end_session
left join first_bars as f on f.symbol = a.symbol
anti join known on known.symbol = a.symbol and known.session = s.session
anti join without_bar on without_bar.session = s.session
anti join around on around.symbol = a.symbol and around.session = s.session
where a.error is null and s.session >= coalesce(f.first_session, u.inception, s.session);

-- expectation: starts_at_inception
-- severity: info
-- sentence: The source's history starts more than five sessions after the instrument's inception.
with first_bars as (
    select symbol, min(session) as first_session from stage.prices where not is_withdrawn group by symbol
)
select a.symbol, null::date as session, u.inception, f.first_session
from (from stage.answers where dataset = 'prices') as a
join stage.universe as u on u.symbol = a.symbol
join first_bars as f on f.symbol = a.symbol
where a.is_full_history and (
    select count(*) from stage.sessions as s
    where s.session >= greatest(u.inception, a.start_session) and s.session < f.first_session
) > 5;

-- expectation: capital_gain_counted_once
-- severity: info
-- sentence: The dividend may include the capital gain already, as in some of Yahoo's data since 2025; the total
--   return would then count it twice.
select symbol, session, dividend, capital_gain
from stage.prices
where capital_gain > 0 and dividend >= capital_gain;

-- expectation: overlap_not_restated
-- severity: critical
-- column: close
-- sentence: More than a fifth of the known bars that were requested again came back with another close that no split
--   explains: the source changed its data.
with known as (
    from raw.prices
    where session >= (select min(session)::date from stage.fetched_prices)
    qualify row_number() over (partition by symbol, session order by known_at desc) = 1
),
asked_again as (
    select f.symbol, f.session::date as session, f.close, k.close as known_close
    from stage.fetched_prices as f
    join known as k on k.symbol = f.symbol and k.session = f.session
    where f.close is not null and not k.is_withdrawn
    -- A symbol that is asked for its whole history weighs no more than any other.
    qualify row_number() over (partition by f.symbol order by f.session desc) <= 10
),
new_splits as (
    select f.symbol, f.session::date as session, f.split_ratio
    from (from stage.fetched_prices where split_ratio <> 1) as f
    anti join known as k on k.symbol = f.symbol and k.session = f.session and k.split_ratio = f.split_ratio and not k.is_withdrawn
),
compared as (
    select
        a.symbol,
        a.session,
        a.close,
        a.known_close,
        coalesce(product(s.split_ratio), 1) as split_factor,
        fn.value_differs(a.close, a.known_close)
            and not (split_factor <> 1 and abs(a.close * split_factor / a.known_close - 1) <= 0.001) as is_restated
    from asked_again as a
    left join new_splits as s on s.symbol = a.symbol and s.session > a.session
    group by a.symbol, a.session, a.close, a.known_close
)
select symbol, session, known_close, close
from compared
where is_restated
    and (select count(distinct symbol) >= 5 and count(*) filter (is_restated) > 0.2 * count(*) from compared);

-- expectation: return_plausible
-- severity: warning
-- column: close
-- sentence: The close jumps much further than the most similar funds, or the market, suggest; open and volume do not confirm it,
--   and the next bar does not confirm it yet.
with bars as (from stage.bars where session >= (select min(session) from stage.prices) - 15),
moved as (
    select *, lag(close) over by_session as previous_close, row_number() over by_session as bar_number
    from bars
    semi join stage.sessions using (session)
    where close > 0 and isfinite(close)
    window by_session as (partition by symbol order by session)
),
compared as (
    select
        m.*,
        x.return_1d,
        x.expected_return,
        x.usual_deviation,
        x.companions,
        case when x.usual_volume > 0 then m.volume / x.usual_volume end as times_usual_volume,
        case when m.close <> m.previous_close then (m.open - m.previous_close) / (m.close - m.previous_close) end as share_at_open,
        fn.log_or_null(greatest(1 + x.return_1d, 1e-300)) as log_return,
        log_return - fn.log_or_null(greatest(1 + coalesce(x.expected_return, 0), 1e-300)) as log_residual
    from moved as m
    join stage.expected_returns as x on x.symbol = m.symbol and x.session = m.session
),
followed as (
    select *, lead(log_residual) over (partition by symbol order by bar_number) as next_log_residual from compared
),
jumps as (
    select
        *,
        coalesce(-sign(log_residual) * next_log_residual > abs(log_residual) / 2, false) as is_undone,
        abs(return_1d) > 0.45 as is_never_believed,
        -- How far the jumps that are never believed have led away; one that leads back is none.
        sum(log_return) filter (is_given and abs(return_1d) > 0.45) over (partition by symbol order by bar_number) as away,
        is_never_believed and abs(away) < abs(away - log_return) as is_way_back
    from followed
    where coalesce(split_ratio, 1) = 1
        and fn.is_jump(return_1d, expected_return, usual_deviation, companions is not null, times_usual_volume, share_at_open)
)
select j.symbol, j.session, j.close, j.return_1d, j.expected_return, j.usual_deviation, j.companions, j.times_usual_volume, j.share_at_open,
    exp(j.next_log_residual) - 1 as next_residual
from jumps as j
anti join jumps as before
    on before.symbol = j.symbol and before.bar_number = j.bar_number - 1 and before.is_undone and not before.is_way_back
where j.is_given and not j.is_way_back and (j.next_log_residual is null or j.is_undone or j.is_never_believed);

-- expectation: split_announced
-- severity: warning
-- column: close
-- sentence: The close changes by the ratio of a split that the source does not announce; it is set aside until the source
--   announces the split or the close returns to its level.
with bars as (from stage.bars where session >= (select min(session) from stage.prices) - 15),
moved as (
    select
        *,
        case when lag(close) over by_session > paid then close / (lag(close) over by_session - paid) - 1 end as return_1d,
        lag(session) over by_session as previous_session
    from bars
    semi join stage.sessions using (session)
    where close > 0 and isfinite(close)
    window by_session as (partition by symbol order by session)
),
markets as (
    select session, median(return_1d) as market_return
    from moved
    group by session
    having count(return_1d) >= 5
),
ratios as (
    select unnest([3 / 2, 2 / 3]) as ratio, 0.01 as tolerance
    union all
    select unnest([2, 3, 4, 5, 7, 10, 20, 25, 50, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 7, 1 / 10, 1 / 20, 1 / 25, 1 / 50]) as ratio, 0.03 as tolerance
),
far as (
    select m.*, (1 + m.return_1d) / (1 + coalesce(k.market_return, 0)) as step
    from (from moved where is_given and split_ratio = 1 and not return_1d between -0.25 and 0.35) as m
    left join markets as k using (session)
),
clean as (
    select f.symbol, f.session, any_value(r.ratio) as ratio
    from far as f
    join ratios as r on abs(f.step / r.ratio - 1) <= r.tolerance
    -- Where the overlap was restated, the step lies between bars that were asked again and older ones that were not.
    left join (from stage.answers where dataset = 'prices') as a on a.symbol = f.symbol
    where not f.is_revised or f.previous_session >= a.start_session
    group by f.symbol, f.session
),
-- The way back need not be as clean.
steps as (
    from clean
    union
    select f.symbol, f.session, 1 / c.ratio as ratio
    from far as f
    join clean as c on c.symbol = f.symbol and c.session < f.session and abs(f.step * c.ratio - 1) <= 0.15
    anti join clean as own on own.symbol = f.symbol and own.session = f.session
),
levels as (
    select
        symbol,
        session,
        sum(fn.log_or_null(ratio)) over by_session as level,
        coalesce(lead(session) over by_session, date 'infinity') as until
    from steps
    window by_session as (partition by symbol order by session)
)
select m.symbol, m.session, m.close, l.session as stepped_on, exp(l.level) as close_ratio
from moved as m
join levels as l on l.symbol = m.symbol and m.session >= l.session and m.session < l.until
where m.is_given and abs(l.level) > 0.2;

-- expectation: price_moves
-- severity: warning
-- column: close
-- sentence: The close has been the same on five sessions in a row, while those of the other symbols moved.
with bars as (from stage.bars where session >= (select min(session) from stage.prices) - 30),
moved as (
    select
        *,
        close - lag(close) over by_session as change,
        close = lag(close) over by_session and close = lag(close, 2) over by_session
            and close = lag(close, 3) over by_session and close = lag(close, 4) over by_session as is_still
    from bars
    window by_session as (partition by symbol order by session)
)
select s.symbol, s.session, s.close
from (from moved where is_given and is_still) as s
join (select session, median(abs(change)) as change from moved group by session) as m using (session)
where m.change > 0;

-- expectation: market_moved
-- severity: critical
-- column: close
-- sentence: At least half of the symbols, five or more, repeat the close of the session before, and its volume where one is known: the source
--   repeats yesterday's data.
with bars as (from stage.bars where session >= (select min(session) from stage.prices) - 15),
steps as (
    select
        *,
        lag(close) over by_session is not null as is_compared,
        session > lag(session) over by_session and close = lag(close) over by_session and coalesce(volume = lag(volume) over by_session, true)
            as is_repeated
    from bars
    semi join stage.sessions using (session)
    window by_session as (partition by symbol order by session)
),
repeating as (
    select session
    from steps
    where is_compared
    group by session
    having count(*) filter (is_repeated) >= greatest(5, count(*) / 2) and bool_or(is_given and is_repeated)
)
select symbol, session, close, volume
from steps
semi join repeating using (session)
where is_given and is_repeated;

-- expectation: bar_not_repeated
-- severity: warning
-- column: close
-- sentence: The bar repeats the close and the volume of the session before: the source may have given yesterday's bar.
with bars as (from stage.bars where session >= (select min(session) from stage.prices) - 15),
steps as (
    select
        *,
        session > lag(session) over by_session and close = lag(close) over by_session and volume = lag(volume) over by_session as is_repeated
    from bars
    semi join stage.sessions using (session)
    window by_session as (partition by symbol order by session)
)
select symbol, session, close, volume
from steps
where is_given and is_repeated and volume > 0;

-- expectation: adj_close_as_vendor
-- severity: warning
-- sentence: The source's own adjusted close implies another distribution than the bar states: probably one is missing
--   or counted twice.
with given as (
    select
        symbol,
        session::date as session,
        vendor_adj_close / lag(vendor_adj_close) over by_session as vendor_step,
        close / (lag(close) over by_session - coalesce(dividend, 0) - coalesce(capital_gain, 0)) as own_step
    from stage.fetched_prices
    window by_session as (partition by symbol order by session)
)
select b.symbol, b.session, b.close, b.dividend, b.capital_gain, g.vendor_step, g.own_step
from (from given where abs(vendor_step / own_step - 1) > 0.002) as g
join stage.prices as b on b.symbol = g.symbol and b.session = g.session
anti join (from stage.universe where kind = 'index') as i on i.symbol = b.symbol;

-- expectation: volume_moves
-- severity: info
-- column: volume
-- sentence: The volume has been the same on three sessions in a row.
with bars as (from stage.bars where session >= (select min(session) from stage.prices) - 30),
moved as (
    select *, volume = lag(volume) over by_session and volume = lag(volume, 2) over by_session as is_still
    from bars
    window by_session as (partition by symbol order by session)
)
select symbol, session, volume
from moved
where is_given and is_still and volume > 0;

-- expectation: volume_in_shares
-- severity: info
-- column: volume
-- sentence: The volume is less than a fiftieth of its median over the 60 bars before, or more than fifty times that median: probably it is counted in lots, or in thousands.
with bars as (from stage.bars where session >= (select min(session) from stage.prices) - 100),
compared as (
    select
        *,
        count(volume) over before_it as bars_before,
        median(volume) over before_it as usual_volume
    from bars
    window before_it as (partition by symbol order by session rows between 60 preceding and 1 preceding)
)
select symbol, session, volume, usual_volume
from compared
where is_given and volume > 0 and bars_before = 60 and not volume / usual_volume between 0.02 and 50;

-- expectation: dividend_in_usd
-- severity: info
-- column: dividend
-- sentence: The dividend is less than a fiftieth of the median of the last eight, or more than fifty times that median: probably it is in cents, or in another currency.
with compared as (
    select
        *,
        count(*) over before_it as dividends_before,
        median(dividend / close) over before_it as usual_yield
    from stage.bars
    where dividend > 0 and close > 0 and session >= (select min(session) from stage.prices where not is_withdrawn) - 1200
    window before_it as (partition by symbol order by session rows between 8 preceding and 1 preceding)
)
select symbol, session, dividend, close, usual_yield
from compared
where is_given and dividends_before >= 3 and not dividend / close / usual_yield between 0.02 and 50;

-- expectation: batch_as_usual
-- severity: info
-- column: close
-- sentence: On the newest session the symbols moved more than on 999 of 1000 sessions of the last four years, or not
--   at all.
with newest as (select max(session) as session from stage.prices where not is_withdrawn),
moved as (
    select session, abs(close / (lag(close) over (partition by symbol order by session) - paid) - 1) as move
    from stage.bars
    where session >= (select session from newest) - 1500 and close > 0
),
days as (select session, median(move) as move from moved where move is not null group by session),
usual as (select quantile_cont(move, 0.999) as largest, count(*) as sessions from days where session < (select session from newest))
select 'all' as symbol, d.session, d.move as median_move, u.largest as largest_usual_move
from days as d
cross join usual as u
where d.session = (select session from newest) and u.sessions >= 250 and (d.move > u.largest or d.move = 0);

-- expectation: index_plausible
-- severity: warning
-- column: close
-- sentence: The level of an index jumps further than rates, volatility or currencies ever have in a session: a rate by more than 2
--   percentage points, another level to more than four times or less than a quarter. It may be in another unit.
with levels as (
    -- 400 days back, as stage.bars reaches for funds and stocks.
    select k.symbol, k.session, k.close, false as is_given
    from fn.prices_known_since('infinity'::timestamptz, (select first_session - 400 from stage.reach)) as k
    anti join stage.prices as b on b.symbol = k.symbol and b.session = k.session
    union all
    select symbol, session, close, true from stage.prices where not is_withdrawn
),
steps as (
    select
        l.*,
        u.peer_group in ('rate_10y', 'rate_3m') as is_rate,
        lag(l.close) over (partition by l.symbol order by l.session) as previous_close
    from (from levels where close is not null and isfinite(close)) as l
    join stage.universe as u on u.symbol = l.symbol and u.kind = 'index'
)
select symbol, session, close, previous_close
from steps
where is_given and (
    (is_rate and (abs(close - previous_close) > 2 or not close between -5 and 25))
    or (not is_rate and previous_close > 0 and not close between previous_close / 4 and previous_close * 4)
);
