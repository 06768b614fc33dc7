-- fn.flow_group_of: the flow group of a row of the universe, also of one read before the columns flow_group and in_breadth existed.
-- grain: one value
-- sources: none
-- lookback: none
-- null: for an instrument whose flows are not summed
-- formula: a row from before these columns is read as such a file is: flows are summed over the peer groups small_cap and large_cap
create or replace macro fn.flow_group_of(flow_group, in_breadth, peer_group) as
    case when in_breadth is not null then flow_group when peer_group in ('small_cap', 'large_cap') then peer_group end
