"""The steps of the pipeline, in the order data meets them."""
