"""The page: what a person sees of the cloud, and may do."""
