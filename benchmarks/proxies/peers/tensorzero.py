"""TensorZero's gateway: a model behind its OpenAI endpoint, without observability; it decides nothing by prompt."""

from benchmarks.proxies.peer import Launch, Site

_CONFIG = """
[gateway]
observability.enabled = false

[models.m]
routing = ["mock"]

[models.m.providers.mock]
type = "openai"
model_name = "m"
api_base = "{upstream}/v1/"
api_key_location = "none"
"""

# The Python client brings the gateway along, and serves it for patched OpenAI clients, on a port of its own choice.
_SERVE = """
import sys, threading, urllib.parse
from tensorzero import _start_http_gateway

gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
with open(sys.argv[2], "w") as file:
    file.write(str(urllib.parse.urlsplit(gateway.base_url).port))
threading.Event().wait()
"""


class TensorZero:
    """The gateway in a process of its own, whose Python sleeps."""

    name = "TensorZero"

    def launch(self, site: Site) -> Launch:
        """See Peer."""
        python = site.python_with("tensorzero")
        config, port_file = site.folder / "tensorzero.toml", site.folder / "port"
        config.write_text(_CONFIG.format(upstream=site.upstream))
        argv = [python, "-c", _SERVE, str(config), str(port_file)]
        model = "tensorzero::model_name::m"
        return Launch(argv, None, model, "/openai/v1/chat/completions", port_file=port_file)
