"""A region of several reconcilers over one PostgreSQL, and a plain one on RocksDB that can take its place.

The reconcilers have the region's keys and the database in common and nothing else: each has a configuration, a state folder,
a page and a log of its own.
"""
import json
import re
import shutil

import road


def with_settings(text, settings):
    for key, value in settings.items():
        text = re.sub(rf"^#?{key} = .*$", f"{key} = {value}", text, flags=re.M)
    return text


class Region(road.Road):
    def __init__(self, folder, bin_dir, facilities, url, reconcilers=1, **more):
        super().__init__(folder, bin_dir, facilities, tls=False, **more)
        self.url, self.reconcilers = url, reconcilers
        self.clouds, self.configs, self.pages = [], [], []
        self.plain = None

    # ---- bringing up ----

    def make_cloud(self):
        super().make_cloud()
        before, store = self.cloud_config.read_text().split("[store]")
        store = with_settings(store, {"kind": '"postgres"', "url": f'"{self.url}"', "password_file": '""'})
        self.cloud_config.write_text(f"{before}[store]{store}")
        self.cloud_cli("migrate")
        self.clouds, self.configs, self.pages = [self.cloud], [self.cloud_config], [self.page_port]
        for n in range(1, self.reconcilers):
            self.clouds.append(self.another(f"cloud-{n}", {}))

    def another(self, name, settings):
        """A reconciler more: the same keys, everything else its own."""
        state, config, page = self.dir / name, self.dir / f"{name}.toml", road.free_port()
        state.mkdir(mode=0o700)
        for key in (self.dir / "cloud").glob("region-*.key"):
            shutil.copy(key, state)
        config.write_text(with_settings(self.cloud_config.read_text(), {"state_dir": f'"{state}"', "listen": f'"127.0.0.1:{page}"', **settings}))
        self.configs.append(config)
        self.pages.append(page)
        return road.Process(name, [str(self.bin / "egret-cloud"), "serve", "--config", str(config)], self.dir / f"{name}.log")

    def up(self):
        super().up()
        for cloud in self.clouds[1:]:
            cloud.start()
        road.wait_for("all reconcilers", self.healthy)

    def healthy(self):
        return all('"status":"ok"' in (self.page_of(n, "/healthz") or "") for n in range(len(self.clouds)))

    def processes(self):
        return [*super().processes(), *self.clouds[1:], *([self.plain] if self.plain else [])]

    # ---- one reconciler on RocksDB in its place ----

    def make_plain(self):
        """The same keys and sites, an empty store: the sites hold everything still and send it again."""
        self.plain = self.another("plain", {"kind": '"rocksdb"', "url": '""'})
        self.plain_config = self.configs[-1]
        self.run(self.bin / "egret-cloud", "init", "--config", self.plain_config, "--broker", self.uri)
        for fac, key in self.site_keys.items():
            self.plain_cli("facility", "add", fac, "--key", key)

    def plain_cli(self, *argv, check=True):
        return self.run(self.bin / "egret-cloud", *argv, "--config", self.plain_config, check=check)

    # ---- asking ----

    def page_of(self, n, path):
        first, self.page_port = self.page_port, self.pages[n]
        try:
            return self.page(path)
        finally:
            self.page_port = first

    def counter(self, n, name):
        """A metric of one reconciler; 0 while it does not answer."""
        found = re.search(rf"^egret_cloud_{re.escape(name)} (\d+)", self.page_of(n, "/metrics") or "", flags=re.M)
        return int(found[1]) if found else 0

    def views_settled(self, cli):
        return json.loads(cli("views", "--json").stdout) == {"made_anew": False, "blocks_behind": 0}


class Several:
    """Servers of one cluster that stand for one process: a kill takes one of them, in turn; a start brings back who is away."""

    name = "broker"

    def __init__(self, nodes):
        self.nodes, self.turn = nodes, 0

    def start(self):
        for node in self.nodes:
            if not node.alive():
                node.start()

    def kill(self):
        self.nodes[self.turn % len(self.nodes)].kill()
        self.turn += 1

    def ask_to_end(self):
        for node in self.nodes:
            node.ask_to_end()

    def end(self, seconds=5.0):
        for node in self.nodes:
            node.end(seconds)


NATS = """server_name: n{n}
port: {port}
jetstream {{ store_dir: "{dir}" }}
mqtt {{ port: {mqtt} }}
cluster {{ name: egret, port: {cluster}, routes: [{routes}] }}
authorization {{ timeout: 10, users: [{users}] }}
"""


class NatsRegion(Region):
    """On three NATS servers, which speak MQTT 3.1.1 and have no $share; sites and reconcilers are spread over them."""

    def make_broker(self):
        super().make_broker()  # for users and passwords
        d = self.dir / "nats"
        self.mqtt_ports = [self.port, road.free_port(), road.free_port()]
        cluster = [road.free_port() for _ in self.mqtt_ports]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in cluster)
        users = ", ".join(f'{{user: "{user}", password: "{word}"}}' for user, word in self.passwords.items())
        nodes = []
        for n, mqtt in enumerate(self.mqtt_ports):
            (d / str(n)).mkdir(parents=True)
            config = d / f"{n}.conf"
            config.write_text(NATS.format(n=n, port=road.free_port(), dir=d / str(n), mqtt=mqtt, cluster=cluster[n], routes=routes, users=users))
            config.chmod(0o600)
            nodes.append(road.Process(f"nats-{n}", ["nats-server", "-c", str(config)], self.dir / f"nats-{n}.log"))
        self.broker, self.turn = Several(nodes), 0

    @property
    def uri(self):
        """The next server's in turn."""
        if not hasattr(self, "mqtt_ports"):
            return super().uri
        self.turn += 1
        return f"mqtt://127.0.0.1:{self.mqtt_ports[self.turn % len(self.mqtt_ports)]}"

    @property
    def agent_uri(self):
        return self.uri

    def another(self, name, settings):
        return super().another(name, {"uri": f'"{self.uri}"', **settings})
