"""A sweep's report: verdict, pictures and tables on one page."""
