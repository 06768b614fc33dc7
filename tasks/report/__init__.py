"""The daily report: queries of `sql/report`, exhibits with charts and tables, the page, the picture and the summary made of them."""
