"""The pages: one file each, which gathers what its template shows and carries out what its forms send."""
