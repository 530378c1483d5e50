"""Where models lie: base paths on disk or in a bucket, and the versions under them.

versions.py    the versions under a base path, which of them a policy selects, whether files changed
bucket.py      base paths on S3 and Google Cloud Storage
cache.py       local copies of versions that lie in a bucket
"""
