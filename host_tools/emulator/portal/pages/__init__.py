"""The portal's pages, one noun a file: what each shows, and what its forms do."""
