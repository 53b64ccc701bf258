"""What the service is measured against: each file a server as its documentation tells one to write it.

All of them take the multipart field `image` at POST /predict and answer label and trust of the bundle that the
environment variable BUNDLE names; THREADS says how many threads each session has.
"""
