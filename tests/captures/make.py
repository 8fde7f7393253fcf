#!/usr/bin/env python3
"""Makes the captures of this folder anew: real clients that talk to each other on loopback, while tcpdump listens.

    make.py [NAME...]          all of them, or those of these names
    make.py --list             what there is

Needs Linux, root, util-linux, iproute2, tcpdump, tshark (for dumpcap), opentracker, transmission-daemon, aria2c, rqbit, and to be run by a Python that has
libtorrent; PARCACIK_PYTHON_OTHER may name another Python with another version of libtorrent. Everything runs in namespaces of its own: no packet leaves the
machine. Each capture is checked for being small and complete, and manifest.json tells what is in it. Contents are SHAKE-128 of "parcacik capture NAME"; nothing in
these files is anybody's.
"""
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = "PARCACIK_CAPTURE_NAMESPACE"
LIMIT = 300_000
PATIENCE = 90
KIB = 1024
RPC_PORT = 29091


# --- a peer made of libtorrent: this script runs itself so ---


def peer(options):
    import libtorrent as lt

    def say(*words):
        print(*words, flush=True)

    listen = options["listen"]
    settings = {
        "listen_interfaces": listen,
        "outgoing_interfaces": listen.rsplit(":", 1)[0].strip("[]"),
        "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        "enable_outgoing_utp": False, "enable_incoming_utp": False,
        "out_enc_policy": int(lt.enc_policy.disabled), "in_enc_policy": int(lt.enc_policy.disabled),
        "min_reconnect_time": 1, "alert_mask": lt.alert.category_t.all_categories,
        "allow_multiple_connections_per_ip": True,
        # It would ask loopback for nothing but /announce, so not scrape it.
        "ssrf_mitigation": False,
    }
    for name, value in options.get("settings", {}).items():
        settings[name] = int(getattr(lt.enc_policy, value)) if name.endswith("enc_policy") else value
    session = lt.session(settings)
    torrent = lt.add_torrent_params()
    if "magnet" in options:
        torrent = lt.parse_magnet_uri(options["magnet"])
    else:
        torrent.ti = lt.torrent_info(options["torrent"])
    torrent.save_path = options["dir"]
    torrent.trackers = options.get("trackers", [])
    torrent.flags |= lt.torrent_flags.override_trackers
    torrent.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    if options.get("upload_limit"):
        torrent.upload_limit = options["upload_limit"]
    # A node of the DHT alone has no torrent.
    handle = None if options.get("alone") else session.add_torrent(torrent)
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    complete = dialled = False
    while not ended:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.listen_succeeded_alert) and "tcp" in str(alert.socket_type).lower():
                say("listening", alert.port)
            elif isinstance(alert, lt.tracker_reply_alert):
                say("announced")
                if options.get("scrape"):
                    handle.scrape_tracker()
            elif isinstance(alert, lt.scrape_reply_alert):
                say("scraped")
            elif isinstance(alert, lt.tracker_error_alert):
                say("refused")
            elif isinstance(alert, lt.dht_put_alert):
                say("stored", alert.num_success)
                session.dht_get_immutable_item(alert.target)
            elif isinstance(alert, lt.dht_immutable_item_alert):
                say("found")
            elif isinstance(alert, lt.dht_sample_infohashes_alert):
                say("sampled", alert.num_infohashes)
        if options.get("dht"):
            use_dht(session, handle, options)
        if not handle:
            continue
        state = handle.status()
        if not dialled and state.has_metadata | ("magnet" in options) and state.state != lt.torrent_status.checking_files:
            dialled = True
            for address in options.get("peers", []):
                ip, port = address.rsplit(":", 1)
                handle.connect_peer((ip.strip("[]"), int(port)))
        if not complete and state.is_seeding:
            complete = True
            say("complete")


def use_dht(session, handle, options):
    """Once a node has others to talk to: announces now, and not in some minutes; and does once what else it is told to."""
    import libtorrent as lt

    if session.status().dht_nodes < options["dht"]["nodes"] or time.time() - options.get("announced", 0) < 1:
        return
    options["announced"] = time.time()
    if handle:
        handle.force_dht_announce()
    item = options["dht"].pop("item", None)
    if item:
        session.dht_put_immutable_item(item)
    sample = options["dht"].pop("sample", None)
    if sample:
        session.dht_sample_infohashes(tuple(sample), lt.sha1_hash(b"x" * 20))


def make_torrent(options):
    import libtorrent as lt

    files = lt.file_storage()
    lt.add_files(files, options["content"])
    flags = {"v1": lt.create_torrent.v1_only, "hybrid": 0}[options["version"]]
    torrent = lt.create_torrent(files, options["piece_length"], flags)
    torrent.set_creator("make.py")
    lt.set_piece_hashes(torrent, os.path.dirname(options["content"]))
    made = torrent.generate()
    # The same content makes the same file.
    made.pop(b"creation date", None)
    with open(options["output"], "wb") as out:
        out.write(lt.bencode(made))
    info = lt.torrent_info(options["output"])
    hashes = info.info_hashes()
    print(json.dumps({"v1": str(hashes.v1), "v2": str(hashes.v2) if hashes.has_v2() else None, "pieces": info.num_pieces()}))


# --- processes ---


class Process:
    """A process whose lines are read; it ends with the scene."""

    def __init__(self, scene, name, command, **more):
        self.name = name
        self.log = open(os.path.join(scene.dir, f"{len(scene.processes)}-{name}.log"), "w+b")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **more)
        scene.processes.append(self)

    def lines(self):
        with open(self.log.name, "rb") as log:
            return log.read().decode("utf-8", "replace").splitlines()

    def line(self, start):
        """Waits for a line that begins so, and gives it."""
        def look():
            found = [line for line in self.lines() if line.startswith(start)]
            if not found and self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended: {self.lines()[-5:]}")
            return found[0] if found else None
        return until(f"{self.name} to say {start!r}", look)

    def ends(self):
        code = until(f"{self.name} to end", lambda: self.process.poll() is not None and [self.process.returncode])[0]
        if code != 0:
            raise SystemExit(f"{self.name} failed: {self.lines()[-5:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def until(what, look):
    end = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise SystemExit(f"waited too long for {what}")
        time.sleep(0.02)


def accepts(address):
    ip, port = address.rsplit(":", 1)
    with socket.socket() as dial:
        dial.settimeout(1)
        return dial.connect_ex((ip, int(port))) == 0


# --- a scene: a torrent, a capture, clients ---


class Scene:
    def __init__(self, name, size, piece_length, version="v1", files=1, capture="tcpdump", precision="micro", device="lo"):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="capture-")
        self.processes = []
        self.clients = []
        self.trackers = []
        self.notes = []
        self.content = os.path.join(self.dir, "content", name)
        self.write(size, files)
        self.torrent = os.path.join(HERE, f"{name}.torrent")
        made = run_self("--torrent", {"content": self.content, "output": self.torrent, "version": version, "piece_length": piece_length})
        self.facts = {"name": name, "torrent": os.path.basename(self.torrent), "version": version, "piece_length": piece_length, "bytes": size, **json.loads(made)}
        self.file = os.path.join(HERE, name + (".pcapng" if capture == "dumpcap" else ".pcap"))
        # What is said to a client by this script is not of interest.
        quiet = f"not port {RPC_PORT}"
        if capture == "dumpcap":
            command = ["dumpcap", "-q", "-i", device, "-f", quiet, "-w", self.file]
        else:
            command = ["tcpdump", "-i", device, "-U", "--immediate-mode", "-B", "16384", f"--time-stamp-precision={precision}", "-Z", "root", "-w", self.file, quiet]
        self.dump = Process(self, capture, command)
        self.facts["made_by"] = version_of([capture, "--version"])
        until("the capture to begin", lambda: any("istening on" in line or line.startswith("File:") for line in self.dump.lines()))

    def write(self, size, files):
        bytes_ = hashlib.shake_128(f"parcacik capture {self.name}".encode()).digest(size)
        if files == 1:
            os.makedirs(os.path.dirname(self.content))
            with open(self.content, "wb") as out:
                out.write(bytes_)
            return
        os.makedirs(self.content)
        # Ends of files lie inside pieces.
        cuts = [size * number // files + 13 * number % 700 for number in range(files)] + [size]
        for number, (start, end) in enumerate(zip(cuts, cuts[1:])):
            with open(os.path.join(self.content, f"file{number}.bin"), "wb") as out:
                out.write(bytes_[start:end])

    def folder(self, name):
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        return path

    def take_part(self, client, version, role, address):
        self.clients.append({"client": client, "version": version, "role": role, "address": address})

    def libtorrent(self, role, listen, python=None, **options):
        python = python or sys.executable
        place = os.path.dirname(self.content) if role == "seed" else self.folder(f"leech{len(self.processes)}")
        options = {"torrent": self.torrent, "dir": place, "listen": listen, **options}
        process = Process(self, "libtorrent", [python, "-W", "ignore", os.path.abspath(__file__), "--peer", json.dumps(options)])
        process.line("listening")
        if role == "seed":
            process.line("complete")
        version = subprocess.run([python, "-c", "import libtorrent; print(libtorrent.__version__)"], check=True, capture_output=True, text=True).stdout.strip()
        self.take_part("libtorrent", version, role, listen)
        return process

    def transmission(self, role, ip):
        config = self.folder("transmission")
        place = os.path.dirname(self.content) if role == "seed" else self.folder("transmission-data")
        settings = {
            "bind-address-ipv4": ip, "peer-port": 26881, "rpc-enabled": True, "rpc-port": RPC_PORT, "rpc-bind-address": "127.0.0.1",
            "rpc-authentication-required": False, "rpc-host-whitelist-enabled": False, "rpc-whitelist-enabled": False,
            "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "utp-enabled": False, "port-forwarding-enabled": False, "encryption": 0,
            "ratio-limit-enabled": False, "idle-seeding-limit-enabled": False, "download-dir": place, "start-added-torrents": True,
        }
        with open(os.path.join(config, "settings.json"), "w") as out:
            json.dump(settings, out)
        Process(self, "transmission", ["transmission-daemon", "--foreground", "--config-dir", config], env={**os.environ, "HOME": self.folder("home")})
        until("transmission", lambda: accepts(f"127.0.0.1:{RPC_PORT}"))
        daemon = Transmission(self.torrent, place)
        until("transmission to look at its data", lambda: daemon.status()["status"] in (4, 6))
        address = f"{ip}:26881"
        # Where it listens is not asked by dialling: that would be in the capture.
        self.take_part("transmission", version_of(["transmission-daemon", "--version"]), role, address)
        return daemon

    def aria2(self, ip, port):
        process = Process(self, "aria2", [
            "aria2c", "--no-conf", "--check-integrity=true", "--file-allocation=none", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false",
            "--enable-peer-exchange=false", f"--listen-port={port}", f"--interface={ip}", "--follow-torrent=mem", "--summary-interval=0",
            "--show-console-readout=false", "--seed-time=0", "--bt-tracker=" + ",".join(self.trackers), "--dir", self.folder("aria2"), self.torrent,
        ])
        self.take_part("aria2", version_of(["aria2c", "--version"]), "leech", f"{ip}:{port}")
        return process

    def rqbit(self, peers):
        # It dials from 127.0.0.1, and is told whom by the command line.
        process = Process(self, "rqbit", [
            "rqbit", "--disable-dht", "--disable-lsd", "--disable-trackers", "--disable-upnp-port-forward", "download", "--disable-http-api", "--exit-on-finish",
            "--initial-peers", ",".join(peers), "-o", self.folder("rqbit"), self.torrent,
        ], env={**os.environ, "HOME": self.folder("home")})
        self.take_part("rqbit", version_of(["rqbit", "--version"]), "leech", "127.0.0.1")
        return process

    def opentracker(self, scheme, served=True):
        # It makes the folder its root, gives up being root, and then reads the list of what it serves.
        place = self.folder("opentracker")
        os.chmod(place, 0o777)
        os.chmod(self.dir, 0o755)
        with open(os.path.join(place, "served"), "w") as out:
            out.write((self.facts["v1"] if served else "0" * 40) + "\n")
        Process(self, "opentracker", ["opentracker", "-w", "/served", "-i", "127.0.0.9", "-p", "6969", "-P", "6969", "-d", place])
        listens = lambda: any(" 0900007F:1B39 " in line and " 0A " in line for line in open("/proc/net/tcp"))
        until("opentracker to listen", listens)
        url = f"{scheme}://127.0.0.9:6969/announce"
        self.trackers.append(url)
        return url

    def finish(self):
        # What is on its way is captured too.
        time.sleep(0.3)
        for process in reversed(self.processes[1:]):
            process.stop()
        # dumpcap looks once in a second.
        time.sleep(1.5)
        self.dump.process.send_signal(signal.SIGINT)
        self.dump.stop()
        shutil.rmtree(self.dir)
        os.chmod(self.file, 0o644)
        length = os.path.getsize(self.file)
        if length > LIMIT:
            raise SystemExit(f"{self.file} has {length} bytes, which is too much")
        with open(self.file, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        self.facts.update({"file": os.path.basename(self.file), "length": length, "sha256": digest, "clients": self.clients, "trackers": self.trackers, "tshark": seen(self.file)})
        return self.facts


def seen(file):
    """What tshark makes of it: messages by their number, and how many datagrams of the DHT, so that a test need not take our word."""
    command = ["tshark", "-r", file, "-o", "tcp.reassemble_out_of_order:TRUE", "-T", "fields", "-e", "bittorrent.msg.type"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    counts = {}
    for number in said.replace(",", " ").split():
        counts[number] = counts.get(number, 0) + 1
    dht = subprocess.run(["tshark", "-r", file, "-Y", "bt-dht", "-T", "fields", "-e", "frame.number"], check=True, capture_output=True, text=True).stdout
    more = {"dht": len(dht.split())} if dht else {}
    return {"version": version_of(["tshark", "--version"]), "messages": dict(sorted(counts.items(), key=lambda entry: int(entry[0]))), **more}


class Transmission:
    def __init__(self, torrent, place):
        self.session = ""
        self.id = self.call("torrent-add", {"filename": torrent, "download-dir": place, "paused": False})["torrent-added"]["id"]

    def call(self, method, arguments):
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        for _ in range(2):
            request = urllib.request.Request(f"http://127.0.0.1:{RPC_PORT}/transmission/rpc", body, {"X-Transmission-Session-Id": self.session})
            try:
                with urllib.request.urlopen(request) as answer:
                    return json.load(answer)["arguments"]
            except urllib.error.HTTPError as error:
                self.session = error.headers["X-Transmission-Session-Id"]
        raise SystemExit("transmission does not keep its session")

    def status(self):
        return self.call("torrent-get", {"ids": [self.id], "fields": ["status", "leftUntilDone", "percentDone"]})["torrents"][0]

    def completes(self):
        until("transmission to have everything", lambda: self.status()["percentDone"] == 1 and self.status()["leftUntilDone"] == 0)


def version_of(command):
    text = subprocess.run(command, capture_output=True, text=True)
    return (text.stdout or text.stderr).strip().splitlines()[0]


def run_self(mode, options):
    command = [sys.executable, "-W", "ignore", os.path.abspath(__file__), mode, json.dumps(options)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# --- the captures ---


def plain():
    """Transmission downloads several files from libtorrent, which dials it: plain TCP"""
    scene = Scene("plain", 192 * KIB + 77, 32 * KIB, files=3)
    leech = scene.transmission("leech", "127.0.0.3")
    scene.libtorrent("seed", "127.0.0.2:7001", peers=["127.0.0.3:26881"])
    leech.completes()
    return scene


def aria2():
    """aria2 downloads from Transmission, which it finds by an HTTP tracker (opentracker)"""
    scene = Scene("aria2", 128 * KIB + 5, 16 * KIB)
    url = scene.opentracker("http")
    seed = scene.transmission("seed", "127.0.0.2")
    seed.call("torrent-set", {"ids": [seed.id], "trackerAdd": [url]})
    seed.call("torrent-reannounce", {"ids": [seed.id]})
    until("the announce", lambda: seed.call("torrent-get", {"ids": [seed.id], "fields": ["trackerStats"]})["torrents"][0]["trackerStats"][0]["lastAnnounceSucceeded"])
    scene.aria2("127.0.0.3", 7002).ends()
    return scene


def fast():
    """The fast extension (BEP 6) between three peers of libtorrent: one place to be served for two who want it"""
    scene = Scene("fast", 96 * KIB, 16 * KIB, capture="dumpcap")
    eager = {"allowed_fast_set_size": 4, "unchoke_slots_limit": 1, "unchoke_interval": 1, "optimistic_unchoke_interval": 1, "suggest_mode": 1}
    scene.libtorrent("seed", "127.0.0.2:7001", upload_limit=20_000, settings=eager)
    one = scene.libtorrent("leech", "127.0.0.3:7002", peers=["127.0.0.2:7001"], settings=eager)
    two = scene.libtorrent("leech", "127.0.0.4:7003", peers=["127.0.0.2:7001"], settings=eager)
    one.line("complete")
    two.line("complete")
    return scene


def hybrid():
    """A hybrid torrent (BEP 52) by a magnet link with both hashes: metadata and hashes come from the peer; IPv6"""
    scene = Scene("hybrid", 160 * KIB + 300, 16 * KIB, version="hybrid", files=2)
    scene.libtorrent("seed", "[::1]:7001")
    magnet = f"magnet:?xt=urn:btih:{scene.facts['v1']}&xt=urn:btmh:1220{scene.facts['v2']}"
    other = os.environ.get("PARCACIK_PYTHON_OTHER")
    scene.libtorrent("leech", "[::1]:7002", python=other, magnet=magnet, peers=["[::1]:7001"]).line("complete")
    return scene


def udp_tracker():
    """Peers of libtorrent that find each other by a UDP tracker (opentracker), with scrapes; one asks about a torrent that it does not serve; nanoseconds"""
    scene = Scene("udp-tracker", 64 * KIB + 1, 16 * KIB, precision="nano")
    url = scene.opentracker("udp")
    seed = scene.libtorrent("seed", "127.0.0.2:7001", trackers=[url], scrape=True)
    seed.line("announced")
    seed.line("scraped")
    leech = scene.libtorrent("leech", "127.0.0.3:7002", trackers=[url], scrape=True)
    leech.line("complete")
    leech.line("scraped")
    return scene


def http_tracker():
    """Peers of libtorrent that find each other by an HTTP tracker (opentracker), with scrapes; captured on every device ("cooked")"""
    scene = Scene("http-tracker", 64 * KIB + 1, 16 * KIB, device="any")
    url = scene.opentracker("http")
    seed = scene.libtorrent("seed", "127.0.0.2:7001", trackers=[url], scrape=True)
    seed.line("announced")
    seed.line("scraped")
    leech = scene.libtorrent("leech", "127.0.0.3:7002", trackers=[url], scrape=True)
    leech.line("complete")
    leech.line("scraped")
    return scene


def encrypted():
    """Peers of libtorrent that encrypt everything (RC4)"""
    scene = Scene("encrypted", 64 * KIB, 16 * KIB)
    forced = {"out_enc_policy": "forced", "in_enc_policy": "forced", "allowed_enc_level": 2}
    scene.libtorrent("seed", "127.0.0.2:7001", settings=forced)
    scene.libtorrent("leech", "127.0.0.3:7002", peers=["127.0.0.2:7001"], settings=forced).line("complete")
    return scene


def rqbit():
    """rqbit downloads from libtorrent"""
    scene = Scene("rqbit", 160 * KIB, 32 * KIB)
    scene.libtorrent("seed", "127.0.0.2:7001")
    scene.rqbit(["127.0.0.2:7001"]).ends()
    return scene


def dht():
    """Three nodes of the DHT (libtorrent): a seed and a leech find each other by it; a node without a torrent stores an item, fetches it, and asks for torrents"""
    scene = Scene("dht", 32 * KIB + 9, 16 * KIB)
    def settings(*nodes):
        return {
            "enable_dht": True, "dht_bootstrap_nodes": ",".join(nodes), "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
            "dht_ignore_dark_internet": False, "dht_prefer_verified_node_ids": False, "dht_enforce_node_id": False,
        }
    seed = scene.libtorrent("seed", "127.0.0.2:27001", settings=settings(), dht={"nodes": 1})
    leech = scene.libtorrent("leech", "127.0.0.3:27002", settings=settings("127.0.0.2:27001"), dht={"nodes": 1})
    leech.line("complete")
    third = scene.libtorrent(
        "node", "127.0.0.4:27003", settings=settings("127.0.0.2:27001"), alone=True, dht={"nodes": 1, "item": "an item", "sample": ["127.0.0.2", 27001]})
    third.line("stored")
    third.line("found")
    third.line("sampled")
    return scene


CAPTURES = {"plain": plain, "aria2": aria2, "fast": fast, "hybrid": hybrid, "udp-tracker": udp_tracker, "http-tracker": http_tracker, "encrypted": encrypted, "rqbit": rqbit, "dht": dht}


def inside(name):
    """Makes one capture; the namespaces are this one's alone."""
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"], check=True)
    scene = CAPTURES[name]()
    facts = scene.finish()
    print(json.dumps({**facts, "about": CAPTURES[name].__doc__}))


def main(names):
    path = os.path.join(HERE, "manifest.json")
    manifest = {"captures": []}
    if os.path.exists(path):
        with open(path) as file:
            manifest = json.load(file)
    for name in names or list(CAPTURES):
        if name not in CAPTURES:
            raise SystemExit(f"there is no capture {name}")
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", sys.executable, os.path.abspath(__file__), name]
        made = subprocess.run(command, env={**os.environ, MARK: "1"}, stdout=subprocess.PIPE, text=True)
        if made.returncode != 0:
            raise SystemExit(f"{name} was not made")
        facts = json.loads(made.stdout.splitlines()[-1])
        print(f"{name}: {facts['length']} bytes")
        manifest["captures"] = [other for other in manifest["captures"] if other["name"] != name] + [facts]
        order = list(CAPTURES)
        manifest["captures"].sort(key=lambda capture: order.index(capture["name"]))
        with open(path, "w") as file:
            json.dump(manifest, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--peer"]:
        peer(json.loads(arguments[1]))
    elif arguments[:1] == ["--torrent"]:
        make_torrent(json.loads(arguments[1]))
    elif arguments[:1] == ["--list"]:
        for name, make in CAPTURES.items():
            print(f"{name}: {make.__doc__}")
    elif os.environ.get(MARK):
        inside(arguments[0])
    else:
        main(arguments)
