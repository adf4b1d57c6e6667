"""nginx as a plain reverse proxy: what any proxy costs at least."""

import os

from benchmarks.proxies.peer import Launch, Site

_CONFIG = """
{user}
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 1h;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream model {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


class Nginx:
    """One worker process."""

    name = "nginx"

    def launch(self, site: Site) -> Launch:
        """See Peer."""
        program = site.program("nginx")
        config = site.folder / "nginx.conf"
        upstream = site.upstream.removeprefix("http://")
        user = "user root;" if os.geteuid() == 0 else ""  # the folder is ours alone
        config.write_text(_CONFIG.format(folder=site.folder, port=site.port, upstream=upstream, user=user))
        return Launch([program, "-p", str(site.folder), "-e", f"{site.folder}/error.log", "-c", str(config)], "/health")
