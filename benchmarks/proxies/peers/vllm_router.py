"""vLLM's router: load balancing between replicas of one model, in Rust."""

from benchmarks.proxies.peer import Launch, Site


class VllmRouter:
    """Round robin over one replica."""

    name = "vllm-router"

    def launch(self, site: Site) -> Launch:
        """See Peer."""
        options = ["--host", "127.0.0.1", "--port", str(site.port), "--worker-urls", site.upstream]
        more = ["--policy", "round_robin", "--log-level", "error", "--prometheus-port", str(site.port + 1)]
        return Launch([site.program("vllm-router"), *options, *more], "/health")
