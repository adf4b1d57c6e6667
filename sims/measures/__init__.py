"""What a run is judged by: pure functions on arrays, each with definition and source; docs/reference/measures.md."""
