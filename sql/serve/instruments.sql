-- serve.instruments: the instruments that have prices, in the order in which they are offered for choice.
-- grain: symbol
-- sources: core.instruments, core.prices
-- null: what does not apply to the instrument
-- columns: those of core.instruments; first_session and last_session with a price
select
    i.symbol, i.name, i.kind, i.size_bucket, i.sector, i.peer_group, i.benchmark,
    p.first_session, p.last_session
from core.instruments as i
join (select symbol, min(session) as first_session, max(session) as last_session from core.prices group by symbol) as p using (symbol)
order by i.symbol
