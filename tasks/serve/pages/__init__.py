"""The pages over any pair, any funds, the rotation graph, flows, and SQL of the reader's own."""
