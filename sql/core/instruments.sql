-- core.instruments: the instruments of the current universe file.
-- grain: symbol
-- sources: fn.universe_known_at, fn.flow_group_of
-- lookback: none
-- null: not applicable, or not known
-- formula: a version of the universe from before the columns flow_group and in_breadth is read as such a file is: flows are summed over the
--   peer groups small_cap and large_cap, and breadth counts funds, sector funds and stocks
-- columns:
--   symbol: ticker
--   name: name of the fund or company
--   kind: fund, sector (a sector fund), stock, or index (a level such as a rate, in core.context alone)
--   size_bucket: mega, large, mid, small or micro
--   sector: sector the instrument stands for
--   peer_group: instruments that are compared side by side
--   flow_group: funds whose flows are summed
--   in_breadth: signals.breadth counts the instrument
--   issuer: publisher of the fund's files
--   issuer_id: the issuer's identifier of the fund
--   index_name: index the fund follows
--   benchmark: symbol its excess returns are measured against
--   inception: first session with a price
--   known_at: when this version of the universe became known
select
    symbol,
    name,
    kind,
    size_bucket,
    sector,
    peer_group,
    fn.flow_group_of(flow_group, in_breadth, peer_group) as flow_group,
    coalesce(in_breadth, kind in ('fund', 'sector', 'stock')) as in_breadth,
    issuer,
    issuer_id,
    index_name,
    benchmark,
    inception,
    known_at
from fn.universe_known_at('infinity'::timestamptz)
order by symbol
