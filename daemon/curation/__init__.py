"""What keeps a memory in order by itself: expiry and curation, in slices that hold nobody up, each a change that can be undone."""
