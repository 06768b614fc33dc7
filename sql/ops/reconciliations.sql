-- ops.reconciliations: every difference found between two sources of prices. An open one is without resolved_at.
-- grain: run_id, dataset, symbol, session, column_name, other_source
-- sources: stage.differences, stage.prices, stage.universe, fn.value_differs
-- lookback: all; a difference is added again only when one of its values has changed
-- null: witness and witness_value where no third source states the value; resolved_at while the difference is open
-- formula: see stage.differences
-- columns:
--   run_id: run that found it
--   dataset: prices
--   symbol: ticker
--   session: XNYS trading date
--   column_name: close, distribution (dividend and capital gain, USD per share) or split_ratio
--   source: source of the bar in core.prices
--   value: its value
--   other_source: the source it was compared with
--   other_value: its value
--   witness: a third source, such as the fund's NAV of that session
--   witness_value: its value
--   verdict: source_wrong, other_source_wrong, or undecided where no third source decides
--   resolved_at: when a later run found the two to agree, or another difference in its place, or published the bar of the other
--     source; or when the symbol left the universe
create table if not exists ops.reconciliations (
    run_id varchar not null,
    dataset varchar not null,
    symbol varchar not null,
    session date not null,
    column_name varchar not null,
    source varchar not null,
    value double,
    other_source varchar not null,
    other_value double,
    witness varchar,
    witness_value double,
    verdict varchar not null,
    resolved_at timestamptz
);

update ops.reconciliations as r
set resolved_at = getvariable('known_at')
from stage.differences as d
where r.resolved_at is null
    and d.dataset = r.dataset and d.symbol = r.symbol and d.session = r.session and d.column_name = r.column_name
    and d.other_source = r.other_source
    and (
        not d.differs or d.source <> r.source or fn.value_differs(d.value, r.value) or fn.value_differs(d.other_value, r.other_value)
        or d.verdict <> r.verdict
    );

-- The other source's own bar has taken the place of the one that was kept, or that one is gone.
update ops.reconciliations as r
set resolved_at = getvariable('known_at')
from stage.prices as p
where r.resolved_at is null
    and r.dataset = 'prices' and p.symbol = r.symbol and p.session = r.session
    and (p.source = r.other_source or p.is_withdrawn);

-- A symbol that left the universe is not compared again.
update ops.reconciliations as r
set resolved_at = getvariable('known_at')
where r.resolved_at is null and not exists (from stage.universe as u where u.symbol = r.symbol);

insert into ops.reconciliations by name
select
    getvariable('run_id') as run_id,
    d.dataset, d.symbol, d.session, d.column_name, d.source, d.value, d.other_source, d.other_value, d.witness, d.witness_value, d.verdict
from stage.differences as d
anti join ops.reconciliations as r
    on r.dataset = d.dataset and r.symbol = d.symbol and r.session = d.session and r.column_name = d.column_name
    and r.other_source = d.other_source and r.resolved_at is null
where d.differs
order by d.symbol, d.session, d.column_name;
