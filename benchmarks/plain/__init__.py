"""A yardstick: the design that a team would write first. One Postgres, one ORM transaction a submission.

It is written with care and tuned like the service (same server, same event loop, same number of processes, pooled
connections, indexes for its reads); what it lacks is the service's design. It makes fewer promises: no shards,
a retried submission is only told that it exists, ranks are up to 5 seconds old, and the answer to a submission has no
rank, because counting it would cost more than the submission.
"""
