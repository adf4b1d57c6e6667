"""What a run is judged by: pure functions on arrays, each with its definition and source; docs/measures.md."""
