"""LiteLLM's proxy: one deployment of one model, no database."""

import yaml

from benchmarks.proxies.peer import Launch, Site


class LiteLlm:
    """One worker process."""

    name = "LiteLLM"

    def launch(self, site: Site) -> Launch:
        """See Peer."""
        program = site.program("litellm")
        config = site.folder / "litellm.yaml"
        deployment = {"model": "openai/m", "api_base": f"{site.upstream}/v1", "api_key": "none"}
        config.write_text(yaml.safe_dump({"model_list": [{"model_name": "m", "litellm_params": deployment}]}))
        argv = [
            program,
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(site.port),
            "--telemetry",
            "False",
        ]
        return Launch(argv, "/health/liveliness", env={"LITELLM_LOCAL_MODEL_COST_MAP": "True"})
